/* wire/date.h: IMAP date-time (INTERNALDATE) and date (SEARCH), RFC 9051 section 9.
 *
 * Pure calendar arithmetic in the proleptic Gregorian calendar; no libc time zone. Years 0 to 9999.
 * Header fields' dates (RFC 5322) belong to src/message. Any thread. */
#ifndef WIRE_DATE_H
#define WIRE_DATE_H

#include "base/buf.h"
#include "base/err.h"

struct civil {
    int year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

int64_t date_days_from_civil(struct civil c); /* days since 1970-01-01; c must be a real date */
struct civil date_civil_from_days(int64_t days);

/* "17-Jul-1996 02:44:25 -0700", day with leading space, zero or bare; without the quotes. Seconds
 * are since 1970 UTC, zone in minutes east. A leap second counts as the next second. ERR_INVALID.
 */
int date_time_parse(struct span s, int64_t *ret_seconds, int *ret_zone) must_check;

/* "1-Feb-1994": days since 1970-01-01 of that date, in no particular zone. ERR_INVALID. */
int date_parse(struct span s, int32_t *ret_days) must_check;

/* The quoted 28 bytes "\"17-Jul-1996 02:44:25 -0700\"". Out of range: clamped to years 0 to 9999,
 * zone to +-23:59. */
enum { DATE_TIME_LEN = 28 };
void date_time_format(int64_t seconds, int zone, char *to);
void date_time_write(struct buf *b, int64_t seconds, int zone);
void date_write(struct buf *b, int32_t days); /* 1-Feb-1994 */

/* The day, in the time's own zone, on which a moment falls: what SEARCH ON, BEFORE, SINCE compare
 * ("disregarding time and timezone"). */
int32_t date_day_of(int64_t seconds, int zone);

#endif
