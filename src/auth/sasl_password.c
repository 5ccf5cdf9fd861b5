/* The mechanisms that carry a password: PLAIN (RFC 4616), and LOGIN
 * (draft-murchison-sasl-login) for old clients. */
#include "auth/sasl_int.h"
#include "auth/users.h"

enum { LOGIN_NAME, LOGIN_PASSWORD };

static enum sasl_result check(struct sasl *s, struct span user, struct span password)
{
    if (!user.n || !buf_ok(&s->authzid))
        return SASL_MALFORMED;
    buf_put_span(&s->name, user);
    buf_put_span(&s->secret, password);
    if (!buf_ok(&s->name) || !buf_ok(&s->secret) || !user_name_valid(user))
        return SASL_MALFORMED;
    return sasl_ask(s, SASL_ASK_PASSWORD);
}

/* [authzid] NUL authcid NUL passwd */
enum sasl_result sasl_plain_step(struct sasl *s, bool has_data, struct span data)
{
    struct span authzid, authcid;
    if (!has_data)
        return sasl_challenge(s, SPAN_EMPTY);
    if (!span_split(&data, '\0', &authzid) || !span_split(&data, '\0', &authcid) || !data.p ||
        (data.n && memchr(data.p, '\0', data.n)))
        return SASL_MALFORMED;
    buf_put_span(&s->authzid, authzid);
    return check(s, authcid, data);
}

enum sasl_result sasl_login_step(struct sasl *s, bool has_data, struct span data)
{
    if (!has_data)
        return sasl_challenge(s, SPAN("Username:"));
    if (s->step == LOGIN_PASSWORD) {
        autobuf user = BUF_INIT(SASL_FIELD_MAX);
        buf_put_span(&user, buf_span(&s->name));
        buf_reset(&s->name);
        return check(s, buf_span(&user), data);
    }
    buf_put_span(&s->name, data);
    s->step = LOGIN_PASSWORD;
    return buf_ok(&s->name) ? sasl_challenge(s, SPAN("Password:")) : SASL_MALFORMED;
}

enum sasl_result sasl_plain_answer(struct sasl *s, int error, const struct directory_entry *e)
{
    return error < 0 ? SASL_DENIED : sasl_succeed(s, e);
}
