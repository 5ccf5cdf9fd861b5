#include "wire/mta_auth.h"

static const char escaped[] = {'\0', '\001', '\t', '\r', '\n'};
static const char letters[] = {'0', '1', 't', 'r', 'n'};

static int unescape(struct span s, struct arena *a, struct span *ret)
{
    if (span_find_byte(s, '\001') == SPAN_NPOS) {
        *ret = s;
        return 0;
    }
    char *to = arena_alloc(a, s.n);
    size_t n = 0;
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.n; i++) {
        size_t k = 0;
        if (s.p[i] != '\001') {
            to[n++] = s.p[i];
            continue;
        }
        if (++i == s.n)
            return ERR_INVALID;
        while (k < sizeof(letters) && letters[k] != s.p[i])
            k++;
        if (k == sizeof(letters))
            return ERR_INVALID;
        to[n++] = escaped[k];
    }
    *ret = span_make(to, n);
    return 0;
}

void mta_put_field(struct buf *out, struct span name, struct span value)
{
    buf_put_byte(out, '\t');
    buf_put_span(out, name);
    if (name.n && value.n)
        buf_put_byte(out, '=');
    for (size_t i = 0; i < value.n; i++) {
        const char *e = memchr(escaped, value.p[i], sizeof(escaped));
        if (e)
            buf_put_byte(out, '\001');
        buf_put_byte(out, e ? letters[e - escaped] : value.p[i]);
    }
}

static enum mta_verb verb_of(struct span word)
{
    static const struct {
        struct span word;
        enum mta_verb verb;
    } verbs[] = {{SPAN("VERSION"), MTA_VERSION},
                 {SPAN("CPID"), MTA_CPID},
                 {SPAN("AUTH"), MTA_AUTH},
                 {SPAN("CONT"), MTA_CONT},
                 {SPAN("CANCEL"), MTA_CANCEL}};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (span_eq(word, verbs[i].word))
            return verbs[i].verb;
    return MTA_OTHER;
}

static bool take_number(struct span *rest, uint32_t *ret)
{
    struct span field;
    uint64_t v;
    if (!span_split(rest, '\t', &field) || !span_to_u64(field, UINT32_MAX, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* Parameters that we do not know are ignored: newer MTAs may send more. "resp" is the last one. */
static int take_params(struct span rest, struct arena *a, struct mta_request *r)
{
    struct span field;
    while (!r->has_response && span_split(&rest, '\t', &field)) {
        struct span name = field, value = SPAN_EMPTY, *to = NULL;
        size_t eq = span_find_byte(field, '=');
        if (eq != SPAN_NPOS) {
            name = span_head(field, eq);
            value = span_skip(field, eq + 1);
        }
        if (span_eq(name, SPAN("service")))
            to = &r->service;
        else if (span_eq(name, SPAN("lip")))
            to = &r->local;
        else if (span_eq(name, SPAN("rip")))
            to = &r->remote;
        else if (span_eq(name, SPAN("cert_username")))
            to = &r->client_certificate;
        else if (span_eq(name, SPAN("secured")))
            r->secured = true;
        else if (span_eq(name, SPAN("resp"))) {
            r->has_response = true;
            to = &r->response;
        }
        if (to && unescape(value, a, to) < 0)
            return ERR_INVALID;
    }
    return rest.n ? ERR_INVALID : 0; /* something follows resp */
}

int mta_parse(struct span line, struct arena *a, struct mta_request *ret, const char **ret_reason)
{
    struct mta_request r = {0};
    struct span word, rest = line;
    bool good = span_split(&rest, '\t', &word);
    r.verb = good ? verb_of(word) : MTA_OTHER;
    switch (r.verb) {
    case MTA_VERSION:
        good = take_number(&rest, &r.major) && r.major == 1;
        break;
    case MTA_AUTH:
        good = take_number(&rest, &r.id) && span_split(&rest, '\t', &r.mechanism) &&
               r.mechanism.n && take_params(rest, a, &r) == 0;
        break;
    case MTA_CONT:
        good = take_number(&rest, &r.id);
        r.has_response = true;
        r.response = rest;
        break;
    case MTA_CANCEL:
        good = take_number(&rest, &r.id);
        break;
    case MTA_CPID:
    case MTA_OTHER:
        good = true;
        break;
    }
    if (!good) {
        *ret_reason = r.verb == MTA_VERSION ? "not version 1 of the protocol" : "malformed line";
        return ERR_INVALID;
    }
    *ret = r;
    return 0;
}
