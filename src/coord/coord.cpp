#include "coord/coord.h"

const char *coord_mode_name(coord_mode mode) {
    switch (mode) {
    case coord_mode::starting: return "starting";
    case coord_mode::normal: return "normal";
    case coord_mode::settling: return "settling";
    case coord_mode::fallback: return "fallback";
    case coord_mode::closed: return "closed";
    }
    return "unknown";
}
