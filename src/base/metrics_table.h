/* base/metrics_table.h: the table of base/metrics.h as data, for those who write it down. Constant.
 */
#ifndef BASE_METRICS_TABLE_H
#define BASE_METRICS_TABLE_H

#include "base/metrics.h"

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };
enum metric_unit { METRIC_UNIT_NONE, METRIC_UNIT_SECONDS, METRIC_UNIT_BYTES };

struct metric_label {
    const char *name;          /* empty: no label */
    const char *const *values; /* NULL-terminated; may be fewer than count (room for more) */
    unsigned count;
};

struct metric_row {
    unsigned first; /* slot */
    enum metric_kind kind;
    enum metric_unit unit;
    unsigned shift, width;
    struct metric_label labels[2]; /* the second one's values follow each other */
    const char *name, *help;       /* of a counter without _total */
};

extern const struct metric_row metric_rows[];
extern const unsigned metric_row_count;

#endif
