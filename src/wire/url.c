#include "wire/url.h"

#include "base/utf8.h"
#include "wire/date.h"

/* The parameters, in the order in which they may come (RFC 5092 section 11). */
enum param {
    PARAM_UIDVALIDITY,
    PARAM_UID,
    PARAM_SECTION,
    PARAM_PARTIAL,
    PARAM_EXPIRE,
    PARAM_URLAUTH
};

static const struct span params[] = {
    [PARAM_UIDVALIDITY] = SPAN(";UIDVALIDITY="), [PARAM_UID] = SPAN(";UID="),
    [PARAM_SECTION] = SPAN(";SECTION="),         [PARAM_PARTIAL] = SPAN(";PARTIAL="),
    [PARAM_EXPIRE] = SPAN(";EXPIRE="),           [PARAM_URLAUTH] = SPAN(";URLAUTH="),
};

struct url_parse {
    struct span text; /* all of it */
    struct span left;
    const struct parse_limits *limits;
    struct arena *a;
    struct imap_url *url;
    const char *why;
};

static int bad(struct url_parse *p, const char *why)
{
    p->why = why;
    return ERR_INVALID;
}

/* --- characters --- */

/* uchar, "&", "=" and what bchar has in addition (RFC 5092 section 11); "?" and "#" never. */
static bool is_bchar(char c)
{
    return ascii_is_alpha((unsigned char)c) || ascii_is_digit((unsigned char)c) ||
           (c && strchr("-._~!$'()*+,&=:@/%", c));
}

static int hex_value(char c)
{
    if (ascii_is_digit((unsigned char)c))
        return c - '0';
    unsigned char l = ascii_lower((unsigned char)c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Percent-decoded UTF-8 without NUL, CR and LF. */
static int decode(struct url_parse *p, struct span s, struct span *ret)
{
    char *to = arena_alloc(p->a, s.n + 1);
    size_t n = 0;
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!is_bchar(c))
            return bad(p, "a character must be percent-encoded");
        if (c == '%') {
            int high = s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return bad(p, "malformed percent-encoding");
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0' || c == '\r' || c == '\n')
            return bad(p, "a control character is encoded");
        to[n++] = c;
    }
    if (!utf8_valid(span_make(to, n)))
        return bad(p, "not UTF-8");
    *ret = span_make(to, n);
    return 0;
}

static int number(struct url_parse *p, struct span s, bool zero_allowed, uint32_t *ret)
{
    uint64_t v;
    if (!span_to_u64(s, UINT32_MAX, &v) || (v == 0 && !zero_allowed))
        return bad(p, "not a number that can stand there");
    *ret = (uint32_t)v;
    return 0;
}

/* --- server and mailbox --- */

/* RFC 5092 section 11: iserver = [iuserinfo "@"] host [":" port] */
static int parse_server(struct url_parse *p)
{
    struct imap_url *u = p->url;
    struct span rest = span_skip(p->left, 7); /* "imap://" */
    size_t slash = span_find_byte(rest, '/');
    struct span server = span_head(rest, slash == SPAN_NPOS ? rest.n : slash);
    p->left = span_skip(rest, server.n);
    size_t at = span_find_byte(server, '@');
    if (at != SPAN_NPOS) {
        struct span info = span_head(server, at);
        server = span_skip(server, at + 1);
        size_t auth = span_find_byte(info, ';');
        if (auth != SPAN_NPOS) {
            struct span type = span_skip(info, auth);
            info = span_head(info, auth);
            if (!span_istarts(type, SPAN(";AUTH=")))
                return bad(p, "malformed user part");
            int rc = decode(p, span_skip(type, 6), &u->auth_type);
            if (rc)
                return rc;
        }
        int rc = decode(p, info, &u->user);
        if (rc)
            return rc;
    }
    size_t colon = server.n;
    while (colon && ascii_is_digit((unsigned char)server.p[colon - 1]))
        colon--;
    if (colon && colon < server.n && server.p[colon - 1] == ':') {
        int rc = number(p, span_skip(server, colon), false, &u->port);
        if (rc)
            return rc;
        server = span_head(server, colon - 1);
    }
    if (server.n == 0)
        return bad(p, "no host");
    u->absolute = true;
    u->host = server;
    return 0;
}

/* RFC 5092 section 7.2: such components are for relative references, and have to be encoded where
 * they are meant. */
static bool has_dot_segment(struct span name)
{
    struct span part;
    while (span_split(&name, '/', &part))
        if (span_eq(part, SPAN(".")) || span_eq(part, SPAN("..")))
            return true;
    return false;
}

/* "/mailbox;UIDVALIDITY=" or "/mailbox/;UID=", or, relative to the selected mailbox, ";UID=". Paths
 * without a slash are not to be accepted (RFC 5092 section 7.2). */
static int parse_mailbox_part(struct url_parse *p)
{
    size_t end = span_find_byte(p->left, ';');
    if (end == SPAN_NPOS)
        return bad(p, "it names no message");
    struct span name = span_head(p->left, end);
    p->left = span_skip(p->left, end);
    if (name.n == 0 && !p->url->absolute)
        return 0;
    if (name.n == 0 || name.p[0] != '/')
        return bad(p, "neither a whole URL nor a path from the root");
    name = span_skip(name, 1);
    if (!span_istarts(p->left, params[PARAM_UIDVALIDITY])) {
        if (name.n == 0 || name.p[name.n - 1] != '/')
            return bad(p, "a slash is missing behind the mailbox");
        name.n--;
    }
    if (name.n == 0 || name.p[0] == '/')
        return bad(p, "no mailbox");
    if (has_dot_segment(name))
        return bad(p, "dots as a part of the mailbox name must be encoded");
    p->url->has_mailbox = true;
    return decode(p, name, &p->url->mailbox);
}

/* --- parameters --- */

static int parse_section_param(struct url_parse *p, struct span value)
{
    struct parse_error err;
    struct imap_url *u = p->url;
    int rc = value.n ? decode(p, value, &u->section_text) : bad(p, "an empty section");
    if (rc)
        return rc;
    u->has_section = true;
    rc = section_parse(u->section_text, p->limits, p->a, &u->section, &err);
    return rc == ERR_INVALID ? bad(p, "no such kind of section") : rc;
}

/* number ["." nz-number] */
static int parse_partial_param(struct url_parse *p, struct span value)
{
    struct imap_url *u = p->url;
    uint32_t offset, length = 0;
    size_t dot = span_find_byte(value, '.');
    int rc = number(p, span_head(value, dot == SPAN_NPOS ? value.n : dot), true, &offset);
    if (rc == 0 && dot != SPAN_NPOS)
        rc = number(p, span_skip(value, dot + 1), false, &length);
    if (rc)
        return rc;
    u->section.has_partial = true;
    u->partial_open = dot == SPAN_NPOS;
    u->section.offset = offset;
    u->section.length = u->partial_open ? UINT64_MAX : length;
    return 0;
}

/* Two or four digits at *at. */
static bool digits(struct span s, size_t *at, size_t n, int *ret)
{
    int v = 0;
    for (size_t end = *at + n; *at < end; ++*at) {
        if (*at >= s.n || !ascii_is_digit((unsigned char)s.p[*at]))
            return false;
        v = v * 10 + (s.p[*at] - '0');
    }
    *ret = v;
    return true;
}

static bool take(struct span s, size_t *at, char c)
{
    if (*at >= s.n || ascii_lower((unsigned char)s.p[*at]) != (unsigned char)c)
        return false;
    ++*at;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "Z" or "+02:00", in minutes east */
static bool parse_zone(struct span s, size_t *at, int *ret)
{
    int hours, minutes;
    if (take(s, at, 'z')) {
        *ret = 0;
        return true;
    }
    bool west = take(s, at, '-');
    if (!west && !take(s, at, '+'))
        return false;
    if (!digits(s, at, 2, &hours) || !take(s, at, ':') || !digits(s, at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *ret = (hours * 60 + minutes) * (west ? -1 : 1);
    return true;
}

/* RFC 3339 section 5.6, date-time. */
static bool parse_rfc3339(struct span s, int64_t *ret)
{
    struct civil c;
    int hour, minute, second, zone;
    size_t at = 0;
    if (!digits(s, &at, 4, &c.year) || !take(s, &at, '-') || !digits(s, &at, 2, &c.month) ||
        !take(s, &at, '-') || !digits(s, &at, 2, &c.day) || !take(s, &at, 't') ||
        !digits(s, &at, 2, &hour) || !take(s, &at, ':') || !digits(s, &at, 2, &minute) ||
        !take(s, &at, ':') || !digits(s, &at, 2, &second))
        return false;
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_in(c.year, c.month) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    if (take(s, &at, '.')) {
        size_t from = at;
        while (at < s.n && ascii_is_digit((unsigned char)s.p[at]))
            at++;
        if (at == from)
            return false;
    }
    if (!parse_zone(s, &at, &zone) || at != s.n)
        return false;
    *ret = date_days_from_civil(c) * 86400 + hour * 3600 + minute * 60 + second - zone * 60;
    return true;
}

/* RFC 5593: application ["+" enc-user], of which some mean more. */
static int parse_access(struct url_parse *p, struct span access)
{
    struct imap_url *u = p->url;
    size_t plus = span_find_byte(access, '+');
    struct span name = span_head(access, plus == SPAN_NPOS ? access.n : plus);
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_alpha((unsigned char)name.p[i]) && !ascii_is_digit((unsigned char)name.p[i]))
            return bad(p, "malformed access identifier");
    if (name.n == 0 || plus + 1 == access.n)
        return bad(p, "malformed access identifier");
    int rc = plus == SPAN_NPOS ? 0 : decode(p, span_skip(access, plus + 1), &u->access_user);
    if (rc)
        return rc;
    bool alone = plus == SPAN_NPOS;
    u->application = name;
    u->access = span_ieq(name, SPAN("user"))        ? URL_ACCESS_USER
                : span_ieq(name, SPAN("authuser"))  ? URL_ACCESS_AUTHUSER
                : span_ieq(name, SPAN("anonymous")) ? URL_ACCESS_ANONYMOUS
                                                    : URL_ACCESS_APPLICATION;
    bool wants_none = u->access == URL_ACCESS_AUTHUSER || u->access == URL_ACCESS_ANONYMOUS ||
                      span_ieq(name, SPAN("stream"));
    bool wants_user = u->access == URL_ACCESS_USER || span_ieq(name, SPAN("submit"));
    if ((wants_none && !alone) || (wants_user && alone))
        return bad(p, "malformed access identifier");
    return 0;
}

/* access [":" mechanism ":" 32*HEXDIG]; the last parameter. */
static int parse_urlauth(struct url_parse *p, struct span value)
{
    struct imap_url *u = p->url;
    size_t colon = span_find_byte(value, ':');
    struct span access = span_head(value, colon == SPAN_NPOS ? value.n : colon);
    u->rump = span_make(p->text.p, (size_t)(access.p + access.n - p->text.p));
    int rc = parse_access(p, access);
    if (rc || colon == SPAN_NPOS)
        return rc;
    struct span verifier = span_skip(value, colon + 1);
    colon = span_find_byte(verifier, ':');
    if (colon == SPAN_NPOS || colon == 0)
        return bad(p, "malformed URLAUTH verifier");
    u->mechanism = span_head(verifier, colon);
    u->token = span_skip(verifier, colon + 1);
    for (size_t i = 0; i < u->mechanism.n; i++) {
        char c = u->mechanism.p[i];
        if (!ascii_is_alpha((unsigned char)c) && !ascii_is_digit((unsigned char)c) && c != '-' &&
            c != '.')
            return bad(p, "malformed URLAUTH mechanism");
    }
    for (size_t i = 0; i < u->token.n; i++)
        if (hex_value(u->token.p[i]) < 0)
            return bad(p, "malformed URLAUTH token");
    return u->token.n < 32 ? bad(p, "malformed URLAUTH token") : 0;
}

static int take_param(struct url_parse *p, enum param param, struct span value)
{
    struct imap_url *u = p->url;
    switch (param) {
    case PARAM_UIDVALIDITY:
        return number(p, value, false, &u->uidvalidity);
    case PARAM_UID:
        return number(p, value, false, &u->uid);
    case PARAM_SECTION:
        return parse_section_param(p, value);
    case PARAM_PARTIAL:
        return parse_partial_param(p, value);
    case PARAM_EXPIRE:
        u->has_expire = parse_rfc3339(value, &u->expire);
        return u->has_expire ? 0 : bad(p, "malformed time of expiry");
    case PARAM_URLAUTH:
        return parse_urlauth(p, value);
    }
    return ERR_INVALID;
}

/* The first parameter of s that may come now; -1: none. */
static int find_param(struct span s, int after)
{
    for (int i = after + 1; i < (int)ARRAY_LEN(params); i++)
        if (span_istarts(s, params[i]))
            return i;
    return -1;
}

/* All that begins with ";". UID, SECTION and PARTIAL stand behind a slash, which belongs to what
 * comes before. */
static int parse_params(struct url_parse *p)
{
    int param = -1, rc = 0;
    while (p->left.n && rc == 0) {
        param = find_param(p->left, param);
        if (param < 0)
            return bad(p, "an unknown parameter, or not in its place");
        struct span value = span_skip(p->left, params[param].n);
        size_t end = span_find_byte(value, ';');
        value = span_head(value, end == SPAN_NPOS ? value.n : end);
        p->left = span_skip(p->left, params[param].n + value.n);
        int next = find_param(p->left, param);
        if (next >= PARAM_UID && next <= PARAM_PARTIAL) {
            if (value.n == 0 || value.p[value.n - 1] != '/')
                return bad(p, "a slash is missing before a parameter");
            value.n--;
        }
        rc = take_param(p, (enum param)param, value);
    }
    return rc;
}

int imap_url_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                   struct imap_url *ret, const char **ret_why)
{
    struct imap_url u = {.section = {.kind = SECTION_BODY, .peek = true}};
    struct url_parse p = {text, text, limits, a, &u, "not a URL"};
    int rc = text.n <= URL_MAX ? 0 : bad(&p, "too long");
    if (rc == 0 && span_istarts(text, SPAN("imap://")))
        rc = parse_server(&p);
    if (rc == 0)
        rc = parse_mailbox_part(&p);
    if (rc == 0)
        rc = parse_params(&p);
    if (rc == 0 && u.uid == 0)
        rc = bad(&p, "it names no message");
    if (rc == 0 && u.has_expire && u.access == URL_ACCESS_NONE)
        rc = bad(&p, "EXPIRE needs URLAUTH");
    if (rc == 0)
        *ret = u;
    else
        *ret_why = rc == ERR_LIMIT ? "it needs too much memory" : p.why;
    return rc;
}
