// The certificate that the proxy makes for itself when it is given none, as SQL Server does.
#pragma once

#include "tls/openssl_own.h"
#include "tls/tls_context.h"

struct tls_certificate {
    openssl_owned<EVP_PKEY> key;
    openssl_owned<X509> cert; // nullptr: could not be made, see tls_take_errors
};

// For localhost, 127.0.0.1 and the host's own name; ten years. An RSA key takes a tenth of a second or so.
tls_certificate tls_self_signed_make(tls_self_signed kind);
