#include "auth/sasl.h"

#include "auth/users.h"

enum { FIELD_MAX = 1024 };

bool sasl_init(struct sasl *s, struct span mechanism)
{
    *s = (struct sasl){.mechanism = span_eq(mechanism, SPAN("PLAIN"))   ? SASL_PLAIN
                                    : span_eq(mechanism, SPAN("LOGIN")) ? SASL_LOGIN
                                                                        : SASL_NONE,
                       .user = BUF_INIT(FIELD_MAX),
                       .password = BUF_INIT(FIELD_MAX)};
    return s->mechanism != SASL_NONE;
}

void sasl_done(struct sasl *s)
{
    if (s->password.p)
        explicit_bzero(s->password.p, s->password.n);
    buf_done(&s->user);
    buf_done(&s->password);
}

static enum sasl_result ready(struct sasl *s, struct span user, struct span password)
{
    buf_put_span(&s->user, user);
    buf_put_span(&s->password, password);
    bool good = buf_ok(&s->user) && buf_ok(&s->password) && user_name_valid(user);
    return good ? SASL_READY : SASL_MALFORMED;
}

/* [authzid] NUL authcid NUL passwd. Acting for somebody else is not offered. */
static enum sasl_result step_plain(struct sasl *s, struct span data)
{
    struct span authzid, authcid;
    if (!span_split(&data, '\0', &authzid) || !span_split(&data, '\0', &authcid) || !data.p ||
        (data.n && memchr(data.p, '\0', data.n)))
        return SASL_MALFORMED;
    if (authzid.n && !span_eq(authzid, authcid))
        return SASL_MALFORMED;
    return ready(s, authcid, data);
}

static enum sasl_result step_login(struct sasl *s, struct span data, struct span *ret_challenge)
{
    if (s->asked_password) {
        autobuf user = BUF_INIT(FIELD_MAX);
        buf_put_span(&user, buf_span(&s->user));
        buf_reset(&s->user);
        return ready(s, buf_span(&user), data);
    }
    buf_put_span(&s->user, data);
    if (!buf_ok(&s->user))
        return SASL_MALFORMED;
    s->asked_password = true;
    *ret_challenge = SPAN("Password:");
    return SASL_CHALLENGE;
}

enum sasl_result sasl_step(struct sasl *s, bool has_data, struct span data,
                           struct span *ret_challenge)
{
    if (!has_data) {
        *ret_challenge = s->mechanism == SASL_LOGIN ? SPAN("Username:") : SPAN("");
        return SASL_CHALLENGE;
    }
    return s->mechanism == SASL_PLAIN ? step_plain(s, data) : step_login(s, data, ret_challenge);
}
