/* What a death left of moves to other accounts is brought to its end: store/transfer.h. */
#include "store/store_int.h"
#include "store/transfer.h"

struct settling {
    struct account *source, *target;
    transfer_open *open;
    void *ctx;
    void (*done)(void *arg, int error);
    void *arg;
    bool one, begun;
    unsigned char id[TRANSFER_ID_LEN]; /* the one at hand */
    int left;                          /* the first error of one that is left */
    struct request request;
};

static void next(void *arg);

static void next_later(struct settling *s)
{
    store_defer(s->source->store, next, s);
}

static void leave(struct settling *s, int error)
{
    s->left = s->left ? s->left : error;
    next_later(s);
}

static void on_ended(struct request *r)
{
    struct settling *s = r->arg;
    int error = r->result.error;
    request_result_done(r);
    if (error)
        leave(s, error);
    else
        next_later(s);
}

static void end(struct settling *s, bool arrived)
{
    request_init(&s->request, REQUEST_TRANSFER_END, on_ended, s);
    s->request.transfer_id = s->id;
    s->request.transfer_done = arrived;
    account_submit(s->source, &s->request);
}

static void on_settled(struct request *r)
{
    struct settling *s = r->arg;
    int error = r->result.error;
    bool arrived = r->result.duplicate;
    request_result_done(r);
    account_unref(take_ptr(s->target));
    if (error)
        leave(s, error);
    else
        end(s, arrived);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct settling *s = arg;
    if (error == ERR_NOT_FOUND) { /* nobody can have got anything */
        end(s, false);
    } else if (error) {
        leave(s, error);
    } else {
        s->target = account;
        request_init(&s->request, REQUEST_TRANSFER_SETTLE, on_settled, s);
        s->request.transfer_id = s->id;
        account_submit(account, &s->request);
    }
}

/* The next one, its user copied to *user. */
static int find(struct settling *s, struct buf *user)
{
    struct snap *snap;
    struct transfer t;
    int error = snap_begin(s->source, &snap);
    if (error)
        return error;
    if (!s->one)
        error = snap_transfer_seek(snap, s->begun ? s->id : NULL, &t);
    else
        error = s->begun ? ERR_NOT_FOUND : snap_transfer(snap, s->id, &t);
    if (error == 0) {
        memcpy(s->id, t.id, sizeof(s->id));
        buf_put_span(user, t.user);
    }
    s->begun = true;
    snap_end(snap);
    return error;
}

static void next(void *arg)
{
    struct settling *s = arg;
    autobuf user = BUF_INIT(BUF_UNLIMITED);
    int error = find(s, &user);
    if (error == 0) {
        s->open(s->ctx, buf_span(&user), on_opened, s);
        return;
    }
    if (error != ERR_NOT_FOUND)
        s->left = s->left ? s->left : error;
    s->done(s->arg, s->left);
    account_unref(s->source);
    free(s);
}

void transfers_settle(struct account *source, const unsigned char *only, transfer_open *open,
                      void *ctx, void (*done)(void *arg, int error), void *arg)
{
    struct settling *s = xnew(struct settling);
    s->source = account_ref(source);
    s->open = open;
    s->ctx = ctx;
    s->done = done;
    s->arg = arg;
    if (only) {
        s->one = true;
        memcpy(s->id, only, sizeof(s->id));
    }
    next_later(s);
}
