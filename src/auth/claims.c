/* What a token says (RFC 7519 section 4.1; RFC 7662 section 2.2 has the same names). */
#include "auth/jwt_int.h"
#include "auth/users.h"

static struct span string_span(const json_t *s)
{
    return span_make(json_string_value(s), json_string_length(s));
}

static bool list_has(struct span list, struct span word)
{
    struct span one;
    while (span_split(&list, ' ', &one))
        if (one.n && span_eq(one, word))
            return true;
    return false;
}

/* A string of words, or an array of strings, has the word. */
static bool has(const json_t *v, struct span word, bool words)
{
    if (json_is_string(v))
        return words ? list_has(string_span(v), word) : span_eq(string_span(v), word);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i);
        if (json_is_string(one) && span_eq(string_span(one), word))
            return true;
    }
    return false;
}

static bool has_scopes(const json_t *claims, struct span wanted)
{
    const json_t *v = json_object_get(claims, "scope");
    struct span one;
    if (!v)
        v = json_object_get(claims, "scp");
    while (span_split(&wanted, ' ', &one))
        if (one.n && !has(v, one, true))
            return false;
    return true;
}

/* A NumericDate; false: there is none. A claim of another type is as bad as one in the past. */
static bool seconds(const json_t *claims, const char *name, double *ret)
{
    const json_t *v = json_object_get(claims, name);
    if (!v)
        return false;
    *ret = json_is_number(v) ? json_number_value(v) : -1;
    return true;
}

static int check_times(const json_t *claims, const struct claims_wanted *w, struct err *err)
{
    double t, now = (double)w->now, leeway = (double)w->leeway;
    if (!seconds(claims, "exp", &t)) {
        if (w->must_expire)
            return err_set(err, ERR_DENIED, "the token has no expiry");
    } else if (t + leeway <= now) {
        return err_set(err, ERR_DENIED, "the token has expired");
    }
    if (seconds(claims, "nbf", &t) && (t < 0 || t - leeway > now))
        return err_set(err, ERR_DENIED, "the token is not valid yet");
    return 0;
}

static int take_user(const json_t *claims, const char *name, struct buf *ret, struct err *err)
{
    const json_t *v = json_object_get(claims, name);
    struct span user = json_is_string(v) ? string_span(v) : SPAN_EMPTY;
    if (!user_name_valid(user))
        return err_set(err, ERR_DENIED, "the token has no user (claim %s)", name);
    if (strcmp(name, "email") == 0 && json_is_false(json_object_get(claims, "email_verified")))
        return err_set(err, ERR_DENIED, "the token's email is not verified");
    buf_put_span(ret, user);
    return buf_ok(ret) ? 0 : err_set(err, ERR_DENIED, "the token's user is too long");
}

int claims_check(const json_t *claims, const struct claims_wanted *w, struct buf *ret_user,
                 struct err *err)
{
    const json_t *issuer = json_object_get(claims, "iss");
    if (*w->issuer &&
        (!json_is_string(issuer) || !span_eq(string_span(issuer), span_str(w->issuer))))
        return err_set(err, ERR_NOT_FOUND, "the token is of another issuer");
    if (*w->audience && !has(json_object_get(claims, "aud"), span_str(w->audience), false))
        return err_set(err, ERR_DENIED, "the token is meant for another audience");
    int r = check_times(claims, w, err);
    if (r < 0)
        return r;
    if (!has_scopes(claims, span_str(w->scope)))
        return err_set(err, ERR_DENIED, "the token lacks a scope");
    return take_user(claims, w->user_claim, ret_user, err);
}
