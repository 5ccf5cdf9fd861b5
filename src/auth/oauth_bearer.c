/* OAuth 2 bearer tokens: OAUTHBEARER (RFC 7628), and XOAUTH2, from which it came. */
#include "auth/sasl_int.h"

enum { BEARER_TOKEN, BEARER_REFUSED };

/* A refused token is answered by a JSON object in a challenge, to which the client says ^A (or
 * nothing: XOAUTH2) before it fails (RFC 7628 section 3.2.3). */
static enum sasl_result over(struct sasl *s)
{
    return s->refused ? SASL_DENIED : SASL_MALFORMED;
}

/* "Bearer" SP b64token (RFC 6750 section 2.1), the scheme in any case. Nothing at all is a client
 * that wants to know the scope (RFC 7628 section 4.3). */
static bool take_token(struct sasl *s, struct span v)
{
    if (!v.n)
        return true;
    if (!span_istarts(v, SPAN("Bearer ")))
        return false;
    v = span_trim(span_skip(v, 7));
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || (unsigned char)v.p[i] > 0x7e)
            return false;
    buf_reset(&s->secret);
    buf_put_span(&s->secret, v);
    return v.n > 0;
}

/* *(key "=" value ^A), after which one more ^A ends the message. */
static bool take_pairs(struct sasl *s, struct span data, struct span *ret_user)
{
    struct span pair;
    bool token = false;
    while (span_split(&data, '\1', &pair) && pair.n) {
        size_t at = span_find_byte(pair, '=');
        if (at == SPAN_NPOS)
            return false;
        struct span key = span_head(pair, at), value = span_skip(pair, at + 1);
        if (span_eq(key, SPAN("auth"))) {
            if (token || !take_token(s, value))
                return false;
            token = true;
        } else if (span_eq(key, SPAN("user"))) {
            *ret_user = value;
        }
    }
    return token && data.p && !data.n;
}

static void put_member(struct buf *out, const char *name, const char *value)
{
    if (!*value)
        return;
    buf_put_lit(out, ",\"");
    buf_put_str(out, name);
    buf_put_lit(out, "\":\"");
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_put_byte(out, '\\');
        if ((unsigned char)*p >= 0x20)
            buf_put_byte(out, *p);
    }
    buf_put_byte(out, '"');
}

static enum sasl_result refuse(struct sasl *s, const char *status, const char *schemes)
{
    s->step = BEARER_REFUSED;
    buf_put_lit(&s->out, "{\"status\":\"");
    buf_put_str(&s->out, status);
    buf_put_byte(&s->out, '"');
    put_member(&s->out, "schemes", schemes);
    put_member(&s->out, "scope", s->setup->oauth_scope);
    put_member(&s->out, "openid-configuration", s->setup->oauth_configuration);
    buf_put_byte(&s->out, '}');
    return SASL_CHALLENGE;
}

/* Until the token has been looked at, the name for the log and for throttling is what the client
 * says. */
static enum sasl_result ask_token(struct sasl *s)
{
    buf_reset(&s->name);
    buf_put_span(&s->name, buf_span(&s->authzid));
    return sasl_ask(s, SASL_ASK_TOKEN);
}

/* gs2-header ^A pairs; no channel binding is defined for it. */
enum sasl_result sasl_oauthbearer_step(struct sasl *s, struct span data)
{
    struct gs2 g;
    struct span user = SPAN_EMPTY;
    autobuf authzid = BUF_INIT(SASL_FIELD_MAX);
    if (s->step == BEARER_REFUSED)
        return over(s);
    if (!gs2_parse(&data, &g) || g.flag == 'p' || !data.n || data.p[0] != '\1' ||
        !take_pairs(s, span_skip(data, 1), &user) || !gs2_name_decode(g.authzid, &authzid))
        return refuse(s, "invalid_request", "");
    if (!s->secret.n)
        return refuse(s, "invalid_token", "");
    enum sasl_result r = sasl_take_authzid(s, buf_span(&authzid));
    return r == SASL_ASK ? ask_token(s) : r;
}

/* user=name ^A auth=Bearer token ^A ^A */
enum sasl_result sasl_xoauth2_step(struct sasl *s, struct span data)
{
    struct span user = SPAN_EMPTY;
    if (s->step == BEARER_REFUSED)
        return over(s);
    if (!take_pairs(s, data, &user) || !user.n || !s->secret.n)
        return SASL_MALFORMED;
    enum sasl_result r = sasl_take_authzid(s, user);
    return r == SASL_ASK ? ask_token(s) : r;
}

enum sasl_result sasl_oauthbearer_answer(struct sasl *s, int error, const struct directory_entry *e)
{
    enum sasl_result r = sasl_believe(s, error, e);
    s->refused = r != SASL_SUCCESS;
    return s->refused ? refuse(s, "invalid_token", "") : r;
}

enum sasl_result sasl_xoauth2_answer(struct sasl *s, int error, const struct directory_entry *e)
{
    enum sasl_result r = sasl_believe(s, error, e);
    s->refused = r != SASL_SUCCESS;
    return s->refused ? refuse(s, "401", "bearer") : r;
}
