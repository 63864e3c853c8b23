// Everything that time does: one timer for all deadlines, probes, retries, gauges and the health snapshot.
#pragma once

struct proxy;

void maintenance_start(proxy *);
void maintenance_stop(proxy *);
