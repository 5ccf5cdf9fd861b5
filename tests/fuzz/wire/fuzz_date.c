/* Dates: what parses is written and parses to the same moment. */
#include "wire/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in = span_make(data, n);
    int64_t seconds, again;
    int zone, zone_again;
    int32_t days, days_again;
    if (date_time_parse(in, &seconds, &zone) == 0) {
        char text[DATE_TIME_LEN];
        date_time_format(seconds, zone, text);
        /* a leap second at the end of 9999 is the one moment that cannot be written */
        int rc = date_time_parse(span_make(text + 1, DATE_TIME_LEN - 2), &again, &zone_again);
        invariant(rc == 0 && zone == zone_again);
        invariant(again == seconds || again == seconds - 1);
        (void)date_day_of(seconds, zone);
    }
    if (date_parse(in, &days) == 0) {
        autobuf b = BUF_INIT(100);
        date_write(&b, days);
        invariant(date_parse(buf_span(&b), &days_again) == 0 && days == days_again);
    }
    if (n >= 12) {
        char text[DATE_TIME_LEN];
        memcpy(&seconds, data, 8);
        memcpy(&zone, data + 8, 4);
        date_time_format(seconds, zone, text);
        invariant(date_time_parse(span_make(text + 1, DATE_TIME_LEN - 2), &again, &zone_again) ==
                  0);
    }
    return 0;
}
