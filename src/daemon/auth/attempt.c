#include "daemon/auth/attempt.h"

#include "auth/password.h"
#include "auth/precis.h"
#include "auth/sasl.h"
#include "auth/users.h"
#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "base/random.h"
#include "daemon/auth/auth.h"

enum { NONCE_SIZE = 18 };

struct attempt {
    struct auth *auth;
    const struct attempt_ops *ops; /* NULL: nobody waits for the result any more */
    void *arg;
    uint64_t session;
    char *peer, *service;
    char mechanism[32]; /* for the log */
    uint64_t began_us;
    struct sasl sasl;
    struct sasl_setup setup;
    char nonce[2 * NONCE_SIZE + 1];
    char *anonymous_user, *oauth_scope; /* settings may be replaced meanwhile */
    struct buf login;                   /* who is proven, while whom he acts as is looked up */
    bool working, over;                 /* a worker has it; it only waits to say so */
    bool acting;                        /* an administrator, as somebody else */
    struct loop_task report;
    enum sasl_result result;
    enum auth_failure failure;
    struct loop_timer queue; /* until it may be looked at (auth/throttle.h) */
    struct loop_timer delay; /* of the answer to a failure */

    /* a worker's */
    struct directories *directories;
    struct directory_entry entry;
    int error;
    struct err why;
};

static void report(struct loop_task *task);
static void on_delay_over(struct loop_timer *timer);

static void attempt_free(struct attempt *t)
{
    t->auth->attempt_count--;
    loop_timer_cancel(&t->queue);
    loop_timer_cancel(&t->delay);
    loop_task_cancel(&t->report);
    sasl_done(&t->sasl);
    directory_entry_done(&t->entry);
    directories_unref(t->directories);
    free(t->peer);
    free(t->service);
    free(t->anonymous_user);
    free(t->oauth_scope);
    buf_done(&t->login);
    free(t);
}

/* The end, and how it is told to whoever made the attempt. The only places where failures count,
 * wait and are logged, and where success is. */

static void on_delay_over(struct loop_timer *timer)
{
    struct attempt *t = container_of(timer, struct attempt, delay);
    if (t->ops)
        t->ops->failed(t->arg, t->failure);
    attempt_free(t);
}

static const char *failure_name(enum auth_failure why)
{
    static const char *const names[] = {
        [AUTH_FAILURE_CREDENTIALS] = "credentials", [AUTH_FAILURE_MECHANISM] = "mechanism",
        [AUTH_FAILURE_SYNTAX] = "syntax",           [AUTH_FAILURE_UNAVAILABLE] = "unavailable",
        [AUTH_FAILURE_EXPIRED] = "expired",         [AUTH_FAILURE_AUTHORIZATION] = "authorization",
        [AUTH_FAILURE_PRIVACY] = "privacy",
    };
    return names[why];
}

/* The fields before `user` come first, in this order: a fail2ban filter reads them, and nothing
 * that a client chooses may look like them. */
static void log_failed(const struct attempt *t, bool counted)
{
    log_event(t->failure == AUTH_FAILURE_UNAVAILABLE ? LOG_WARNING : LOG_INFO, "login-failed",
              LOG_SESSION(t->session), "peer", t->peer, "service", t->service, "counted",
              counted ? "yes" : "no", "user", t->sasl.name.n ? t->sasl.name.p : "", "mechanism",
              t->mechanism, "reason", failure_name(t->failure), "msg", t->why.text, NULL);
}

/* What a client would present again: only passwords and tokens are comparable. */
static struct span wrong_secret(const struct attempt *t)
{
    return t->sasl.secret.n ? buf_span(&t->sasl.secret) : SPAN_EMPTY;
}

static void fail(struct attempt *t, enum auth_failure why)
{
    struct auth *a = t->auth;
    struct loop *l = a->daemon->loop;
    bool wrong = why == AUTH_FAILURE_CREDENTIALS, counted = false;
    t->over = true;
    t->failure = why;
    if (wrong)
        counted = throttle_failed(&a->throttle, buf_span(&t->sasl.name), span_str(t->peer),
                                  wrong_secret(t), loop_now_ms(l));
    log_failed(t, counted);
    metric_add(
        METRIC_PAIR(METRIC_LOGINS, LOGIN, metric_mechanism(span_str(t->mechanism)), (unsigned)why),
        1);
    if (t->ops)
        loop_timer_set(l, &t->delay, wrong ? a->daemon->conf->auth_failure_delay : 0);
    else
        attempt_free(t);
}

static const char *text_of(const struct buf *b)
{
    return b->n ? b->p : "";
}

/* What the usual line of a login process does not tell. */
static void log_special(const struct attempt *t, struct span user)
{
    autobuf name = BUF_INIT(USER_NAME_MAX);
    buf_put_span(&name, user);
    if (t->acting)
        log_event(LOG_INFO, "login-as", LOG_SESSION(t->session), "peer", t->peer, "service",
                  t->service, "login", text_of(&t->login), "user", text_of(&name), NULL);
    if (t->entry.app_password)
        log_event(LOG_INFO, "app-password-used", LOG_SESSION(t->session), "user", text_of(&name),
                  "service", t->service, "name", t->entry.app_password, NULL);
    if (t->sasl.trace.n && strcmp(t->mechanism, "ANONYMOUS") == 0)
        log_event(LOG_INFO, "anonymous", LOG_SESSION(t->session), "peer", t->peer, "trace",
                  text_of(&t->sasl.trace), NULL);
}

static void succeed(struct attempt *t, struct span user)
{
    struct span login = buf_span(&t->login);
    log_special(t, user);
    throttle_succeeded(&t->auth->throttle, login, span_str(t->peer),
                       loop_now_ms(t->auth->daemon->loop));
    metric_add(METRIC_PAIR(METRIC_LOGINS, LOGIN, metric_mechanism(span_str(t->mechanism)),
                           METRIC_LOGIN_OK),
               1);
    metric_observe(METRIC_LOGIN_TIME, 0, clock_monotonic_us() - t->began_us);
    if (t->ops)
        t->ops->ok(t->arg, user, login, buf_span(&t->sasl.out));
    attempt_free(t);
}

static bool is_master(const struct attempt *t)
{
    const struct conf_list *l = &t->auth->daemon->conf->auth_masters;
    for (size_t i = 0; i < l->count; i++) {
        autobuf name = BUF_INIT(USER_NAME_MAX);
        if (precis_username(span_str(l->items[i]), t->setup.keep_case, &name) == 0 &&
            span_eq(buf_span(&name), buf_span(&t->login)))
            return true;
    }
    return false;
}

static void start_looking(struct attempt *t);

/* Who is proven may be himself, or somebody else by permission. */
static void authorize(struct attempt *t)
{
    struct span authzid = buf_span(&t->sasl.authzid);
    buf_put_span(&t->login, buf_span(&t->sasl.name));
    if (!authzid.n || span_eq(authzid, buf_span(&t->login))) {
        succeed(t, buf_span(&t->login));
    } else if (!is_master(t)) {
        err_set(&t->why, ERR_DENIED, "may not act as " SPAN_FMT, SPAN_ARG(authzid));
        fail(t, AUTH_FAILURE_AUTHORIZATION);
    } else {
        t->acting = true;
        directory_entry_done(&t->entry);
        directory_entry_init(&t->entry);
        start_looking(t);
    }
}

static bool everybody_is_known(const struct attempt *t)
{
    return *t->auth->daemon->conf->auth_any_user_password && t->error == ERR_NOT_FOUND;
}

/* He whom an administrator wants to act as is there, or not; that he may not log in himself does
 * not matter. */
static void on_found(struct attempt *t)
{
    if (t->error == 0)
        succeed(t, buf_span(&t->entry.name));
    else if (everybody_is_known(t))
        succeed(t, buf_span(&t->sasl.authzid));
    else
        fail(t, t->error == ERR_BUSY ? AUTH_FAILURE_UNAVAILABLE : AUTH_FAILURE_AUTHORIZATION);
}

/* Directories block: they are asked by worker threads. */

static void look(void *arg)
{
    struct attempt *t = arg;
    struct directories *d = t->directories;
    struct span name = buf_span(&t->sasl.name), secret = buf_span(&t->sasl.secret);
    if (t->acting)
        t->error =
            directories_find(d, buf_span(&t->sasl.authzid), DIRECTORY_RECEIVE, &t->entry, &t->why);
    else if (t->sasl.ask == SASL_ASK_PASSWORD)
        t->error = directories_check(d, name, secret, span_str(t->service), &t->entry, &t->why);
    else if (t->sasl.ask == SASL_ASK_TOKEN)
        t->error = directories_token(d, secret, &t->entry, &t->why);
    else
        t->error = directories_find(d, name, DIRECTORY_LOGIN, &t->entry, &t->why);
    if (!t->acting && t->sasl.ask == SASL_ASK_KEYS && everybody_is_known(t)) {
        const char *any = t->auth->daemon->conf->auth_any_user_password;
        buf_put_span(&t->entry.name, name);
        for (int i = 0; i < 2; i++)
            password_scram_make(i == DIRECTORY_SCRAM_SHA256, span_str(any), SPAN_EMPTY, 4096,
                                &t->entry.scram[i]);
        t->error = 0;
    }
}

static void proceed(struct attempt *t, enum sasl_result result);

static void on_looked(void *arg)
{
    struct attempt *t = arg;
    t->working = false;
    directories_unref(take_ptr(t->directories));
    precis_adopt(&t->entry.name, t->setup.keep_case);
    if (t->acting) {
        on_found(t);
        return;
    }
    if (t->sasl.ask == SASL_ASK_USER && everybody_is_known(t)) {
        buf_put_span(&t->entry.name, buf_span(&t->sasl.name));
        t->error = 0;
    }
    if (t->error == ERR_BUSY)
        fail(t, AUTH_FAILURE_UNAVAILABLE);
    else
        proceed(t, sasl_answer(&t->sasl, t->error, &t->entry));
}

/* For tests and benchmarks: nothing to compute. */
static bool any_user(struct attempt *t)
{
    const char *any = t->auth->daemon->conf->auth_any_user_password;
    if (!*any || t->sasl.ask != SASL_ASK_PASSWORD ||
        !secret_equal(buf_span(&t->sasl.secret), span_str(any)))
        return false;
    buf_put_span(&t->entry.name, buf_span(&t->sasl.name));
    proceed(t, sasl_answer(&t->sasl, 0, &t->entry));
    return true;
}

static void start_looking(struct attempt *t)
{
    t->directories = directories_ref(t->auth->directories);
    t->working = true;
    loop_work(t->auth->daemon->loop, look, on_looked, t);
}

static void on_turn(struct loop_timer *timer)
{
    start_looking(container_of(timer, struct attempt, queue));
}

/* Everything that a guess could be right about goes through here, and waits for its turn. */
static void ask(struct attempt *t)
{
    if (any_user(t))
        return;
    struct loop *l = t->auth->daemon->loop;
    uint64_t wait = throttle_enter(&t->auth->throttle, buf_span(&t->sasl.name), span_str(t->peer),
                                   loop_now_ms(l));
    if (wait == THROTTLE_REFUSE) {
        err_set(&t->why, ERR_BUSY, "too many failures of that account or network");
        fail(t, AUTH_FAILURE_UNAVAILABLE);
    } else if (wait) {
        metric_add(METRIC_THROTTLED, 1);
        loop_timer_set(l, &t->queue, wait);
    } else {
        start_looking(t);
    }
}

/* No callback from within attempt_start or attempt_continue. */
static void report_later(struct attempt *t, enum sasl_result result)
{
    t->result = result;
    loop_defer(t->auth->daemon->loop, &t->report);
}

static void report(struct loop_task *task)
{
    struct attempt *t = container_of(task, struct attempt, report);
    switch (t->result) {
    case SASL_CHALLENGE:
        t->ops->challenge(t->arg, buf_span(&t->sasl.out));
        break;
    case SASL_SUCCESS:
        authorize(t);
        break;
    case SASL_MALFORMED:
        fail(t, t->failure ? t->failure : AUTH_FAILURE_SYNTAX);
        break;
    case SASL_DENIED:
    case SASL_ASK:
        fail(t, AUTH_FAILURE_CREDENTIALS);
        break;
    }
}

static void proceed(struct attempt *t, enum sasl_result result)
{
    if (result == SASL_ASK)
        ask(t);
    else if (t->ops || result != SASL_CHALLENGE)
        report_later(t, result);
    else if (t->sasl.refused) /* nobody is left to be told why */
        fail(t, AUTH_FAILURE_CREDENTIALS);
    else
        attempt_free(t);
}

/* Strangers may read, where an account for them is configured; they may not send. */
static struct sasl_offer offer_to(const struct auth *a, struct span service,
                                  const struct auth_peer *peer)
{
    const struct directories *d = a->directories;
    return (struct sasl_offer){
        .passwords = directories_have_passwords(d) || *a->daemon->conf->auth_any_user_password,
        .scram = a->scram,
        .tokens = directories_have_tokens(d),
        .anonymous = *a->daemon->conf->auth_anonymous_user && span_eq(service, SPAN("imap")),
        .secure = peer->secure,
        .binding = peer->binding_exporter.n || peer->binding_unique.n || peer->binding_endpoint.n,
        .certificate = peer->certificate_user.n > 0};
}

void auth_mechanisms(const struct auth *a, struct span service, const struct auth_peer *peer,
                     struct buf *out)
{
    struct sasl_offer offer = offer_to(a, service, peer);
    sasl_list(&offer, out);
}

void auth_mechanism_table(const struct auth *a, struct buf *out)
{
    const struct auth_peer nobody = {.secure = false};
    struct sasl_offer offer = offer_to(a, SPAN("imap"), &nobody);
    sasl_table(&offer, out);
}

static void set_up(struct attempt *t, const struct sasl_offer *offer)
{
    const struct conf *c = t->auth->daemon->conf;
    unsigned char random[NONCE_SIZE];
    random_bytes(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(t->nonce + 2 * i, 3, "%02x", random[i]);
    t->anonymous_user = span_dup(span_str(c->auth_anonymous_user));
    t->oauth_scope = span_dup(span_str(c->auth_oauth2_scope));
    t->setup = (struct sasl_setup){.offer = *offer,
                                   .nonce = t->nonce,
                                   .key = t->auth->scram_key,
                                   .keep_case = c->auth_username_case == CONF_CASE_KEEP,
                                   .anonymous_user = t->anonymous_user,
                                   .oauth_scope = t->oauth_scope,
                                   .oauth_configuration = ""};
}

/* 0: the mechanism may be used. */
static enum auth_failure refusal(const struct attempt *t, const struct sasl_mechanism *m)
{
    if (t->auth->attempt_count > ATTEMPTS_MAX)
        return AUTH_FAILURE_UNAVAILABLE;
    if (m && sasl_wants_privacy(m, &t->setup.offer))
        return AUTH_FAILURE_PRIVACY;
    return m && sasl_offered(m, &t->setup.offer) ? 0 : AUTH_FAILURE_MECHANISM;
}

struct attempt *attempt_start(struct auth *a, const struct attempt_start *start,
                              const struct attempt_ops *ops, void *arg)
{
    struct attempt *t = xnew(struct attempt);
    const struct sasl_mechanism *m = sasl_find(start->mechanism);
    struct sasl_offer offer = offer_to(a, start->service, &start->peer);
    t->auth = a;
    t->ops = ops;
    t->arg = arg;
    t->session = start->session;
    t->began_us = clock_monotonic_us();
    t->peer = span_dup(start->peer.address);
    t->service = span_dup(start->service);
    snprintf(t->mechanism, sizeof(t->mechanism), SPAN_FMT, SPAN_ARG(start->mechanism));
    set_up(t, &offer);
    sasl_init(&t->sasl, m, &t->setup, &start->peer);
    buf_init(&t->login, USER_NAME_MAX);
    directory_entry_init(&t->entry);
    loop_timer_init(&t->queue, on_turn);
    loop_timer_init(&t->delay, on_delay_over);
    loop_task_init(&t->report, report);
    a->attempt_count++;
    t->failure = refusal(t, m);
    if (t->failure)
        report_later(t, SASL_MALFORMED);
    else
        proceed(t, sasl_step(&t->sasl, start->has_initial, start->initial));
    return t;
}

void attempt_continue(struct attempt *t, struct span data)
{
    if (!t->working && !t->over && !loop_task_queued(&t->report) && !loop_timer_is_set(&t->queue))
        proceed(t, sasl_step(&t->sasl, true, data));
}

/* What a worker checks, or what has failed, is seen to its end: leaving early does not make guesses
 * free, nor does not listening to why a token was refused. */
void attempt_cancel(struct attempt *t)
{
    t->ops = NULL;
    if (t->working || (loop_task_queued(&t->report) && t->result != SASL_CHALLENGE))
        return;
    if (t->sasl.refused && !t->over)
        fail(t, AUTH_FAILURE_CREDENTIALS);
    else
        attempt_free(t);
}
