/* daemon/metrics/exposition.h: what the pages of all processes hold, as text.
 *
 * OpenMetrics 1.0 (https://openmetrics.io), and the older text form of Prometheus (0.0.4) for those
 * who do not ask for it; they differ in the names of counters' families and in the end mark.
 * Pure; the pages change meanwhile, so that a sum of buckets may be one ahead of a sum of values.
 */
#ifndef DAEMON_METRICS_EXPOSITION_H
#define DAEMON_METRICS_EXPOSITION_H

#include "base/buf.h"
#include "base/metrics.h"

struct exposition_page {
    const char *process; /* "mail.0" */
    _Atomic uint64_t *page;
};

enum exposition_form { EXPOSITION_OPENMETRICS, EXPOSITION_PROMETHEUS };

void exposition_write(struct buf *out, enum exposition_form form,
                      const struct exposition_page *pages, size_t count);

#endif
