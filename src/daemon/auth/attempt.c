#include "daemon/auth/attempt.h"

#include "auth/sasl.h"
#include "auth/users.h"
#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "daemon/auth/auth.h"

struct attempt {
    struct auth *auth;
    const struct attempt_ops *ops; /* NULL: nobody waits for the result any more */
    void *arg;
    uint64_t session;
    char *peer, *service;
    char mechanism[32]; /* for the log */
    uint64_t began_us;
    struct sasl sasl;
    bool working, over; /* a worker has it; it only waits to say so */
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

static void succeed(struct attempt *t)
{
    struct span name = buf_span(&t->sasl.name);
    throttle_succeeded(&t->auth->throttle, name, span_str(t->peer),
                       loop_now_ms(t->auth->daemon->loop));
    metric_add(METRIC_PAIR(METRIC_LOGINS, LOGIN, metric_mechanism(span_str(t->mechanism)),
                           METRIC_LOGIN_OK),
               1);
    metric_observe(METRIC_LOGIN_TIME, 0, clock_monotonic_us() - t->began_us);
    if (t->ops)
        t->ops->ok(t->arg, name, name, buf_span(&t->sasl.out));
    attempt_free(t);
}

/* Who is proven may be himself, or somebody else by permission. */
static void authorize(struct attempt *t)
{
    struct span authzid = buf_span(&t->sasl.authzid);
    if (authzid.n && !span_eq(authzid, buf_span(&t->sasl.name)))
        fail(t, AUTH_FAILURE_AUTHORIZATION);
    else
        succeed(t);
}

/* Directories block: they are asked by worker threads. */

static void look(void *arg)
{
    struct attempt *t = arg;
    t->error = directories_check(t->directories, buf_span(&t->sasl.name), buf_span(&t->sasl.secret),
                                 span_str(t->service), &t->entry, &t->why);
}

static void proceed(struct attempt *t, enum sasl_result result);

static void on_looked(void *arg)
{
    struct attempt *t = arg;
    t->working = false;
    directories_unref(take_ptr(t->directories));
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
    else
        attempt_free(t);
}

static struct sasl_offer offer_to(const struct auth *a, const struct auth_peer *peer)
{
    return (struct sasl_offer){.passwords = directories_have_passwords(a->directories),
                               .secure = peer->secure};
}

void auth_mechanisms(const struct auth *a, const struct auth_peer *peer, struct buf *out)
{
    struct sasl_offer offer = offer_to(a, peer);
    sasl_list(&offer, out);
}

struct attempt *attempt_start(struct auth *a, const struct attempt_start *start,
                              const struct attempt_ops *ops, void *arg)
{
    struct attempt *t = xnew(struct attempt);
    const struct sasl_mechanism *m = sasl_find(start->mechanism);
    struct sasl_offer offer = offer_to(a, &start->peer);
    t->auth = a;
    t->ops = ops;
    t->arg = arg;
    t->session = start->session;
    t->began_us = clock_monotonic_us();
    t->peer = span_dup(start->peer.address);
    t->service = span_dup(start->service);
    snprintf(t->mechanism, sizeof(t->mechanism), SPAN_FMT, SPAN_ARG(start->mechanism));
    sasl_init(&t->sasl, m);
    directory_entry_init(&t->entry);
    loop_timer_init(&t->queue, on_turn);
    loop_timer_init(&t->delay, on_delay_over);
    loop_task_init(&t->report, report);
    if (++a->attempt_count > ATTEMPTS_MAX) {
        t->failure = AUTH_FAILURE_UNAVAILABLE;
        report_later(t, SASL_MALFORMED);
    } else if (!m || !sasl_offered(m, &offer)) {
        t->failure = AUTH_FAILURE_MECHANISM;
        report_later(t, SASL_MALFORMED);
    } else {
        proceed(t, sasl_step(&t->sasl, start->has_initial, start->initial));
    }
    return t;
}

void attempt_continue(struct attempt *t, struct span data)
{
    if (!t->working && !t->over && !loop_task_queued(&t->report) && !loop_timer_is_set(&t->queue))
        proceed(t, sasl_step(&t->sasl, true, data));
}

/* What a worker checks, or what has failed, is seen to its end: leaving early does not make guesses
 * free. */
void attempt_cancel(struct attempt *t)
{
    t->ops = NULL;
    if (t->working || (loop_task_queued(&t->report) && t->result != SASL_CHALLENGE))
        return;
    attempt_free(t);
}
