/* OAuth 2 as a directory, for bearer tokens: signed ones are checked against the issuer's keys,
 * others by asking the issuer (introspection). It has no passwords and cannot say who exists. */
#include <pthread.h>

#include "auth/directory_int.h"
#include "auth/file_state.h"
#include "auth/http_int.h"
#include "auth/jwt_int.h"
#include "auth/users_int.h"
#include "base/clock.h"
#include "base/logline.h"

/* Keys from a URL are fetched again after an hour, and when a token names an unknown one: so often
 * as tokens with made-up key names arrive, hence no more than a few at once and two a minute. */
enum { KEYS_AGE_US = 3600 * 1000000ll, FETCHES_MAX = 4, FETCH_EVERY_US = 30 * 1000000 };

struct directory_oauth2 {
    struct directory base;
    char *issuer, *audience, *keys_from, *url, *client_id, *client_secret;
    char *scope, *user_claim, *ca_file;
    uint64_t leeway, timeout_s;

    pthread_mutex_t fetching; /* one at a time; taken before lock */
    pthread_mutex_t lock;     /* of what follows */
    struct file_state state;
    struct jwt_keys *keys; /* NULL: none yet */
    uint64_t fetched, version;
    uint64_t tokens, refilled; /* of the bound on fetches */
};

static struct directory_oauth2 *of(struct directory *d)
{
    return container_of(d, struct directory_oauth2, base);
}

/* Keys. */

static struct jwt_keys *current(struct directory_oauth2 *o, uint64_t *ret_version, bool *ret_old)
{
    pthread_mutex_lock(&o->lock);
    struct jwt_keys *k = o->keys ? jwt_keys_ref(o->keys) : NULL;
    *ret_version = o->version;
    *ret_old = !k || clock_monotonic_us() - o->fetched > (uint64_t)KEYS_AGE_US;
    pthread_mutex_unlock(&o->lock);
    return k;
}

static void replace(struct directory_oauth2 *o, struct jwt_keys *k)
{
    pthread_mutex_lock(&o->lock);
    jwt_keys_unref(o->keys);
    o->keys = k;
    o->fetched = clock_monotonic_us();
    o->version++;
    pthread_mutex_unlock(&o->lock);
}

/* With `fetching`. */
static bool may_fetch(struct directory_oauth2 *o)
{
    uint64_t now = clock_monotonic_us(), more = (now - o->refilled) / FETCH_EVERY_US;
    if (more) {
        o->tokens = MIN(o->tokens + more, (uint64_t)FETCHES_MAX);
        o->refilled = now;
    }
    if (!o->tokens)
        return false;
    o->tokens--;
    return true;
}

static int fetch(struct directory_oauth2 *o, struct err *err)
{
    struct http_request q = {.url = o->keys_from, .ca_file = o->ca_file, .timeout_s = o->timeout_s};
    autobuf text = BUF_INIT(HTTP_BODY_MAX);
    struct jwt_keys *k;
    struct err why = {0};
    int r = http_fetch(&q, &text, err);
    if (r < 0)
        return r;
    if (jwt_keys_parse(buf_span(&text), &k, &why) < 0)
        return err_set(err, ERR_BUSY, "%.100s: %s", o->keys_from, why.text);
    replace(o, k);
    return 0;
}

/* Newer keys than version, if there are any to be had. */
static int refresh(struct directory_oauth2 *o, uint64_t version, struct err *err)
{
    int r = 0;
    uint64_t now_version;
    bool old;
    pthread_mutex_lock(&o->fetching);
    jwt_keys_unref(current(o, &now_version, &old)); /* another thread may have fetched them */
    if (now_version == version)
        r = may_fetch(o) ? fetch(o, err) : err_set(err, ERR_BUSY, "keys were fetched just now");
    pthread_mutex_unlock(&o->fetching);
    return r;
}

static void refresh_file(struct directory_oauth2 *o)
{
    struct err err;
    struct jwt_keys *k;
    autobuf text = BUF_INIT(JWT_KEYS_TEXT_MAX);
    pthread_mutex_lock(&o->fetching);
    if (file_state_changed(&o->state, o->keys_from)) {
        int r = users_read_file(o->keys_from, &text, &err);
        if (r == 0)
            r = jwt_keys_parse(buf_span(&text), &k, &err);
        if (r == 0)
            replace(o, k);
        else
            log_event(LOG_ERROR, "keys-not-loaded", "file", o->keys_from, "msg", err.text, NULL);
    }
    pthread_mutex_unlock(&o->fetching);
}

static int verify(struct directory_oauth2 *o, const struct jwt *t, struct err *err)
{
    bool from_file = o->keys_from[0] == '/', old;
    uint64_t version;
    struct err why = {0};
    if (from_file)
        refresh_file(o);
    struct jwt_keys *k = current(o, &version, &old);
    int fetched = 0;
    if (!from_file && old) {
        fetched = refresh(o, version, &why);
        jwt_keys_unref(k);
        k = current(o, &version, &old);
    }
    if (!k)
        return err_set(err, ERR_BUSY, "no keys: %s", from_file ? o->keys_from : why.text);
    int r = jwt_verify(t, k, err);
    if (r == ERR_NOT_FOUND && !from_file && fetched == 0 && refresh(o, version, &why) == 0) {
        jwt_keys_unref(k);
        k = current(o, &version, &old);
        r = jwt_verify(t, k, err);
    }
    jwt_keys_unref(k);
    return r == ERR_NOT_FOUND ? ERR_DENIED : r;
}

/* Tokens. */

static int check_claims(const struct directory_oauth2 *o, const json_t *claims, bool must_expire,
                        struct directory_entry *ret, struct err *err)
{
    struct claims_wanted w = {.issuer = o->issuer,
                              .audience = o->audience,
                              .scope = o->scope,
                              .user_claim = o->user_claim,
                              .now = clock_wall_us() / 1000000,
                              .leeway = o->leeway,
                              .must_expire = must_expire};
    return claims_check(claims, &w, &ret->name, err);
}

static int check_signed(struct directory_oauth2 *o, struct span token, struct directory_entry *ret,
                        struct err *err)
{
    struct jwt t;
    int r = jwt_parse(token, &t, err);
    if (r == 0) /* first, since a token of another issuer names a key that nobody here has */
        r = check_claims(o, t.claims, true, ret, err);
    else
        r = ERR_DENIED;
    if (r == 0)
        r = verify(o, &t, err);
    jwt_done(&t);
    return r;
}

static int introspect(struct directory_oauth2 *o, struct span token, struct directory_entry *ret,
                      struct err *err)
{
    autobuf body = BUF_INIT(4 * JWT_MAX), answer = BUF_INIT(HTTP_BODY_MAX);
    autobuf id = BUF_INIT(4096), secret = BUF_INIT(4096);
    if (token.n > JWT_MAX)
        return err_set(err, ERR_DENIED, "the token is too long");
    buf_put_lit(&body, "token_type_hint=access_token&token=");
    http_put_escaped(token, &body);
    http_put_escaped(span_str(o->client_id), &id); /* RFC 6749 section 2.3.1 */
    http_put_escaped(span_str(o->client_secret), &secret);
    struct http_request q = {.url = o->url,
                             .ca_file = o->ca_file,
                             .body = body.p,
                             .user = id.n ? id.p : NULL,
                             .password = secret.n ? secret.p : "",
                             .timeout_s = o->timeout_s};
    int r = http_fetch(&q, &answer, err);
    explicit_bzero(body.p, body.n);
    if (secret.p)
        explicit_bzero(secret.p, secret.n);
    if (r < 0)
        return r;
    json_t *claims = json_loadb(answer.p, answer.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *active = json_object_get(claims, "active");
    if (!json_is_boolean(active))
        r = err_set(err, ERR_BUSY, "%.100s: not an answer to introspection", o->url);
    else if (!json_is_true(active))
        r = err_set(err, ERR_DENIED, "the token is not active");
    else
        r = check_claims(o, claims, false, ret, err);
    json_decref(claims);
    return r;
}

static int oauth2_token(struct directory *d, struct span token, struct directory_entry *ret,
                        struct err *err)
{
    struct directory_oauth2 *o = of(d);
    struct err why = {0};
    int r = *o->url ? introspect(o, token, ret, &why) : check_signed(o, token, ret, &why);
    return r < 0 ? err_set(err, r, "oauth2: %s", why.text) : 0;
}

static void oauth2_free(struct directory *d)
{
    struct directory_oauth2 *o = of(d);
    explicit_bzero(o->client_secret, strlen(o->client_secret));
    char *texts[] = {o->issuer,        o->audience, o->keys_from,  o->url,    o->client_id,
                     o->client_secret, o->scope,    o->user_claim, o->ca_file};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    jwt_keys_unref(o->keys);
    pthread_mutex_destroy(&o->fetching);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static char *copy(const char *s)
{
    return span_dup(span_str(s));
}

struct directory *directory_oauth2_new(const struct conf *c, struct err *err)
{
    static const struct directory_ops ops = {
        .name = "oauth2", .tokens = true, .token = oauth2_token, .free = oauth2_free};
    struct directory_oauth2 *o = xnew(struct directory_oauth2);
    directory_init(&o->base, &ops);
    pthread_mutex_init(&o->fetching, NULL);
    pthread_mutex_init(&o->lock, NULL);
    o->issuer = copy(c->auth_oauth2_issuer);
    o->audience = copy(c->auth_oauth2_audience);
    o->keys_from = copy(c->auth_oauth2_keys);
    o->url = copy(c->auth_oauth2_introspection_url);
    o->client_id = copy(c->auth_oauth2_client_id);
    o->client_secret = copy(c->auth_oauth2_client_secret);
    o->scope = copy(c->auth_oauth2_scope);
    o->user_claim = copy(c->auth_oauth2_user_claim);
    o->ca_file = copy(c->auth_oauth2_ca_file);
    o->leeway = c->auth_oauth2_leeway;
    o->timeout_s = c->auth_oauth2_timeout;
    o->tokens = FETCHES_MAX;
    o->refilled = clock_monotonic_us();
    if (o->keys_from[0] != '/')
        return &o->base;
    refresh_file(o);
    if (o->keys)
        return &o->base;
    err_set(err, ERR_INVALID, "auth.oauth2.keys: %.120s: not a key set", o->keys_from);
    oauth2_free(&o->base);
    return NULL;
}
