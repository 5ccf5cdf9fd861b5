/* The end of an account, in the steps of store/discard.h: martletctl asks its process to discard
 * it, process 0 to forget its name, then its process to erase the files. */
#include "base/clock.h"
#include "base/logline.h"
#include "daemon/mail/control.h"
#include "store/discard.h"

enum { RETRY_MS = 50, DROP_AFTER_MS = 1000, GIVE_UP_MS = 15000 };

struct removal {
    struct control_call *call;
    char *user;
    struct account_id id;
    struct loop_timer retry;
    uint64_t begun_us;
};

static void release(struct control_call *call)
{
    struct removal *r = call->state;
    loop_timer_cancel(&r->retry);
    free(r->user);
    free(r);
}

static struct removal *removal_new(struct control_call *call, struct span user)
{
    struct removal *r = xnew(struct removal);
    r->call = call;
    r->user = span_dup(user);
    call->state = r;
    call->release = release;
    return r;
}

/* --- discard --- */

static void on_discarded(void *arg, int error)
{
    struct removal *r = arg;
    autobuf row = BUF_INIT(256), id = BUF_INIT(64);
    if (error == ERR_BUSY && clock_monotonic_us() - r->begun_us < GIVE_UP_MS * 1000ull) {
        loop_timer_set(r->call->mail->daemon->loop, &r->retry, RETRY_MS);
        return;
    }
    if (error == ERR_BUSY) {
        control_end(r->call, error, "the account is in use and its users do not leave; try again");
        return;
    }
    if (error == 0) {
        log_event(LOG_INFO, "account-discarded", "user", r->user, NULL);
        buf_put_hex(&id, r->id.b, sizeof(r->id.b));
        control_put(&row, "id", buf_span(&id));
        control_text(r->call, buf_span(&row));
    }
    control_end(r->call, error, NULL);
}

/* New sessions may have come meanwhile. A client that does not take its BYE is dropped. */
static void discard(struct loop_timer *t)
{
    struct removal *r = container_of(t, struct removal, retry);
    struct mail *m = r->call->mail;
    bool drop = clock_monotonic_us() - r->begun_us > DROP_AFTER_MS * 1000ull;
    if (!m->store || m->stopping) {
        control_end(r->call, ERR_CLOSED, "the server is shutting down");
        return;
    }
    imap_sessions_end(&m->imap, span_str(r->user), 0, "This account is being deleted");
    if (drop)
        imap_sessions_drop(&m->imap, span_str(r->user));
    account_discard(m->store, &r->id, on_discarded, r);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct removal *r = arg;
    if (error) {
        control_end(r->call, error, error == ERR_NOT_FOUND ? "there is no such account" : NULL);
        return;
    }
    r->id = *id;
    r->begun_us = clock_monotonic_us();
    discard(&r->retry);
}

void control_discard(struct control_call *call, struct span args)
{
    struct span user = SPAN_EMPTY;
    control_args_next(&args, &user);
    struct removal *r = removal_new(call, user);
    loop_timer_init(&r->retry, discard);
    mail_resolve(call->mail, user, false, on_resolved, r);
}

/* --- forget --- */

static void on_forgotten(void *arg, int error, const struct account_id *id)
{
    struct removal *r = arg;
    (void)id;
    control_end(r->call, error == ERR_NOT_FOUND ? 0 : error, NULL);
}

static bool parse_id(struct span s, struct account_id *ret)
{
    if (s.n != 2 * sizeof(ret->b))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = ascii_lower((unsigned char)s.p[i]);
        if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
        unsigned v = ascii_is_digit(c) ? c - 48u : c - 87u; /* ASCII */
        ret->b[i / 2] = (unsigned char)(i % 2 ? ret->b[i / 2] | v : v << 4);
    }
    return true;
}

void control_forget(struct control_call *call, struct span args)
{
    struct span user = SPAN_EMPTY, hex = SPAN_EMPTY;
    struct account_id id;
    control_args_next(&args, &user);
    control_args_next(&args, &hex);
    if (call->mail->daemon->index != 0 || !user.n || !parse_id(hex, &id)) {
        control_end(call, ERR_INVALID, "ask process 0, with a user and an id");
        return;
    }
    struct removal *r = removal_new(call, user);
    loop_timer_init(&r->retry, discard);
    site_forget(call->mail->store, user, &id, on_forgotten, r);
}

/* --- erase --- */

static void on_erased(void *arg, int error)
{
    control_end(arg, error, error ? "some files could not be removed; the log says which" : NULL);
}

void control_erase(struct control_call *call, struct span args)
{
    (void)args;
    store_erase_discarded(call->mail->store, on_erased, call);
}
