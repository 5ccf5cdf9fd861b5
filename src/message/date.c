/* The Date field. */
#include "message/header.h"

/* Comments and white space count as separators; so do "," and, for dates like 1-Feb-2007, "-"
 * within the date. */
static void skip_cfws(struct span *s)
{
    size_t depth = 0, i = 0;
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0)
            i++;
        else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != ',')
            break;
    }
    *s = span_skip(*s, i);
}

static bool take_number(struct span *s, size_t max_digits, uint32_t *ret, size_t *ret_digits)
{
    size_t n = 0;
    uint32_t v = 0;
    while (n < s->n && n < max_digits && ascii_is_digit((unsigned char)s->p[n]))
        v = v * 10 + (uint32_t)(s->p[n++] - '0');
    if (n == 0)
        return false;
    *s = span_skip(*s, n);
    *ret = v;
    *ret_digits = n;
    return true;
}

static struct span take_word(struct span *s)
{
    size_t n = 0;
    while (n < s->n && ascii_is_alpha((unsigned char)s->p[n]))
        n++;
    struct span word = span_head(*s, n);
    *s = span_skip(*s, n);
    return word;
}

/* 1 to 12; 0 if it is no month. Full names are accepted. */
static uint32_t month_number(struct span word)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (word.n < 3)
        return 0;
    for (uint32_t m = 0; m < 12; m++)
        if (span_istarts(word, span_make(months + 3 * m, 3)))
            return m + 1;
    return 0;
}

/* Days since 1970-01-01 in the Gregorian calendar; the year begins in March for the sum. */
static int32_t day_number(uint32_t year, uint32_t month, uint32_t day)
{
    int32_t y = (int32_t)year - (month <= 2);
    int32_t era = y / 400, of_era = y % 400;
    int32_t m = (int32_t)((month + 9) % 12);
    int32_t of_year = (153 * m + 2) / 5 + (int32_t)day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool date_exists(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || day < 1 || year < 1 || year > 9999)
        return false;
    return day <= lengths[month - 1] + (uint32_t)(month == 2 && leap);
}

/* RFC 5322 section 4.3: years of two and three digits. */
static uint32_t full_year(uint32_t year, size_t digits)
{
    if (digits == 2)
        return year < 50 ? year + 2000 : year + 1900;
    return digits == 3 ? year + 1900 : year;
}

static bool take_time(struct span *s, uint32_t *ret_seconds)
{
    uint32_t h, m, sec = 0;
    size_t digits;
    skip_cfws(s);
    if (!take_number(s, 2, &h, &digits))
        return false;
    skip_cfws(s);
    if (s->n == 0 || (s->p[0] != ':' && s->p[0] != '.'))
        return false;
    char sep = s->p[0];
    *s = span_skip(*s, 1);
    skip_cfws(s);
    if (!take_number(s, 2, &m, &digits))
        return false;
    skip_cfws(s);
    if (s->n > 0 && s->p[0] == sep) {
        *s = span_skip(*s, 1);
        skip_cfws(s);
        if (!take_number(s, 2, &sec, &digits))
            return false;
    }
    if (h > 23 || m > 59 || sec > 60)
        return false;
    *ret_seconds = h * 3600 + m * 60 + sec;
    return true;
}

/* Minutes east of UTC. Military letters were used wrongly so often that they count as UTC
 * (section 4.3), and so does what is unknown. */
static int16_t take_zone(struct span *s)
{
    static const struct {
        const char *name;
        int16_t minutes;
    } zones[] = {{"EST", -300}, {"EDT", -240}, {"CST", -360}, {"CDT", -300},
                 {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420},
                 {"CET", 60},   {"CEST", 120}, {"EET", 120},  {"EEST", 180},
                 {"MET", 60},   {"MEST", 120}, {"BST", 60},   {"JST", 540}};
    skip_cfws(s);
    if (s->n > 1 && (s->p[0] == '+' || s->p[0] == '-')) {
        bool west = s->p[0] == '-';
        uint32_t v;
        size_t digits;
        *s = span_skip(*s, 1);
        if (!take_number(s, 4, &v, &digits))
            return 0;
        if (digits <= 2)
            v *= 100;
        if (digits <= 2 && s->n > 2 && s->p[0] == ':') { /* +02:00 */
            uint32_t m;
            *s = span_skip(*s, 1);
            if (take_number(s, 2, &m, &digits))
                v += m;
        }
        int minutes = (int)(v / 100 * 60 + v % 100);
        return (int16_t)(west ? -minutes : minutes);
    }
    struct span name = take_word(s);
    for (size_t i = 0; i < ARRAY_LEN(zones); i++)
        if (span_ieq(name, span_str(zones[i].name)))
            return zones[i].minutes;
    return 0;
}

static void skip_dash(struct span *s)
{
    skip_cfws(s);
    if (s->n > 0 && (s->p[0] == '-' || s->p[0] == '.' || s->p[0] == '/'))
        *s = span_skip(*s, 1);
    skip_cfws(s);
}

bool header_date(struct span s, struct header_date *ret)
{
    uint32_t day, month, year, seconds = 0;
    size_t digits;
    skip_cfws(&s);
    struct span word = take_word(&s);
    month = month_number(word);
    if (word.n > 0 && month == 0) { /* the day of the week */
        skip_dash(&s);
        month = month_number(take_word(&s));
    }
    skip_dash(&s);
    if (!take_number(&s, 2, &day, &digits))
        return false;
    if (month != 0) { /* asctime: Feb 1 01:02:03 2007 */
        if (!take_time(&s, &seconds))
            return false;
        skip_cfws(&s);
        struct span zone = s;
        int16_t minutes = take_zone(&zone);
        if (zone.p != s.p && !ascii_is_digit((unsigned char)s.p[0])) {
            s = zone; /* date(1) puts the zone before the year */
            skip_cfws(&s);
        }
        if (!take_number(&s, 4, &year, &digits))
            return false;
        year = full_year(year, digits);
        skip_cfws(&s);
        if (minutes == 0 && s.n > 0)
            minutes = take_zone(&s);
        if (!date_exists(year, month, day))
            return false;
        int32_t number = day_number(year, month, day);
        *ret =
            (struct header_date){(int64_t)number * 86400 + seconds - minutes * 60, number, minutes};
        return true;
    }
    skip_dash(&s);
    month = month_number(take_word(&s));
    skip_dash(&s);
    if (month == 0 || !take_number(&s, 4, &year, &digits))
        return false;
    year = full_year(year, digits);
    if (!date_exists(year, month, day) || !take_time(&s, &seconds))
        return false;
    int16_t zone = take_zone(&s);
    int32_t number = day_number(year, month, day);
    *ret = (struct header_date){(int64_t)number * 86400 + seconds - zone * 60, number, zone};
    return true;
}
