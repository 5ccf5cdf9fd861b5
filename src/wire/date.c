#include "wire/date.h"

enum { SECONDS_PER_DAY = 86400 };

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Both directions count in eras of 400 years (146,097 days) that begin on 1 March, so that the leap
 * day is the last day of its year. 719,468 days lie between 0000-03-01 and 1970-01-01. */
int64_t date_days_from_civil(struct civil c)
{
    int64_t y = c.month > 2 ? c.year : (int64_t)c.year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct civil date_civil_from_days(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct civil){(int)(yoe + era * 400) + (month <= 2), month,
                          (int)(doy - (153 * mp + 2) / 5 + 1)};
}

static int days_in_month(int year, int month)
{
    static const char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Exactly n digits at the front of *s. */
static bool take_digits(struct span *s, unsigned n, int *ret)
{
    int v = 0;
    if (s->n < n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (!ascii_is_digit((unsigned char)s->p[i]))
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = span_skip(*s, n);
    *ret = v;
    return true;
}

static bool take_byte(struct span *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = span_skip(*s, 1);
    return true;
}

static bool take_month(struct span *s, int *ret)
{
    for (int i = 0; i < 12; i++)
        if (span_istarts(*s, span_make(month_names[i], 3))) {
            *s = span_skip(*s, 3);
            *ret = i + 1;
            return true;
        }
    return false;
}

/* day "-" month "-" year; the day as one or two digits, or a space and a digit. */
static bool take_date(struct span *s, struct civil *ret)
{
    struct civil c;
    bool two = s->n >= 2 && ascii_is_digit((unsigned char)s->p[1]);
    if (two && s->p[0] == ' ') {
        *s = span_skip(*s, 1);
        two = false;
    }
    if (!take_digits(s, two ? 2 : 1, &c.day) || !take_byte(s, '-') || !take_month(s, &c.month) ||
        !take_byte(s, '-') || !take_digits(s, 4, &c.year))
        return false;
    if (c.day < 1 || c.day > days_in_month(c.year, c.month))
        return false;
    *ret = c;
    return true;
}

int date_parse(struct span s, int32_t *ret_days)
{
    struct civil c;
    if ((s.n && s.p[0] == ' ') || !take_date(&s, &c) || s.n)
        return ERR_INVALID;
    *ret_days = (int32_t)date_days_from_civil(c);
    return 0;
}

int date_time_parse(struct span s, int64_t *ret_seconds, int *ret_zone)
{
    struct civil c;
    int hour, minute, second, zone_hour, zone_minute;
    if (!take_date(&s, &c) || !take_byte(&s, ' ') || !take_digits(&s, 2, &hour) ||
        !take_byte(&s, ':') || !take_digits(&s, 2, &minute) || !take_byte(&s, ':') ||
        !take_digits(&s, 2, &second) || !take_byte(&s, ' '))
        return ERR_INVALID;
    bool west = s.n && s.p[0] == '-';
    if ((!west && (s.n == 0 || s.p[0] != '+')) || hour > 23 || minute > 59 || second > 60)
        return ERR_INVALID;
    s = span_skip(s, 1);
    if (!take_digits(&s, 2, &zone_hour) || !take_digits(&s, 2, &zone_minute) || s.n ||
        zone_hour > 23 || zone_minute > 59)
        return ERR_INVALID;
    int zone = (zone_hour * 60 + zone_minute) * (west ? -1 : 1);
    *ret_seconds =
        date_days_from_civil(c) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - zone * 60;
    *ret_zone = zone;
    return 0;
}

/* The day a local time falls on, and the seconds into it. */
static int64_t split_days(int64_t local, int *ret_second)
{
    int64_t days = local / SECONDS_PER_DAY, rest = local % SECONDS_PER_DAY;
    if (rest < 0) {
        rest += SECONDS_PER_DAY;
        days--;
    }
    *ret_second = (int)rest;
    return days;
}

/* Local time, kept within the years that four digits can say. */
static int64_t local_time(int64_t seconds, int zone)
{
    const int64_t first = date_days_from_civil((struct civil){0, 1, 1}) * SECONDS_PER_DAY;
    const int64_t last = date_days_from_civil((struct civil){10000, 1, 1}) * SECONDS_PER_DAY - 1;
    int64_t local;
    if (add_overflow(seconds, (int64_t)zone * 60, &local))
        local = seconds;
    return MIN(MAX(local, first), last);
}

int32_t date_day_of(int64_t seconds, int zone)
{
    int second;
    return (int32_t)split_days(local_time(seconds, zone), &second);
}

static char *put2(char *to, int v)
{
    *to++ = (char)('0' + v / 10);
    *to++ = (char)('0' + v % 10);
    return to;
}

static char *put_month_year(char *to, struct civil c)
{
    *to++ = '-';
    memcpy(to, month_names[c.month - 1], 3);
    to += 3;
    *to++ = '-';
    return put2(put2(to, c.year / 100), c.year % 100);
}

void date_time_format(int64_t seconds, int zone, char *to)
{
    int second;
    zone = MIN(MAX(zone, -(23 * 60 + 59)), 23 * 60 + 59);
    struct civil c = date_civil_from_days(split_days(local_time(seconds, zone), &second));
    int east = zone < 0 ? -zone : zone;
    *to++ = '"';
    put2(to, c.day);
    if (c.day < 10)
        *to = ' ';
    to = put_month_year(to + 2, c);
    *to++ = ' ';
    to = put2(to, second / 3600);
    *to++ = ':';
    to = put2(to, second / 60 % 60);
    *to++ = ':';
    to = put2(to, second % 60);
    *to++ = ' ';
    *to++ = zone < 0 ? '-' : '+';
    to = put2(put2(to, east / 60), east % 60);
    *to = '"';
}

void date_time_write(struct buf *b, int64_t seconds, int zone)
{
    char *to = buf_reserve(b, DATE_TIME_LEN);
    if (!to)
        return;
    date_time_format(seconds, zone, to);
    buf_commit(b, DATE_TIME_LEN);
}

void date_write(struct buf *b, int32_t days)
{
    char tmp[16];
    int second;
    int64_t local = local_time((int64_t)days * SECONDS_PER_DAY, 0);
    struct civil c = date_civil_from_days(split_days(local, &second));
    char *end = put_month_year(put2(tmp, c.day), c);
    char *start = tmp[0] == '0' ? tmp + 1 : tmp;
    buf_put(b, start, (size_t)(end - start));
}
