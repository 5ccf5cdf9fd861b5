/* imap/urlauth.c: URLAUTH (RFC 4467, RFC 5593), URLAUTH=BINARY (RFC 5524): URLs of messages that
 * are signed with a key of their mailbox, so that others may fetch what they point to.
 *
 * The key belongs to a user and a mailbox, lies in the user's account and is shown to nobody. The
 * token is the mark of the function, 01, and half of the HMAC-SHA-256 of the URL up to the access
 * identifier, octet by octet. What a URL gives is what its user may read when it is redeemed. */
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "imap/commands.h"
#include "imap/url_data.h"
#include "message/part_structure.h"
#include "wire/write.h"

enum { KEY_SIZE = 32, TOKEN_MARK = 1, TOKEN_SIZE = 17 };

static const struct span internal = SPAN("INTERNAL");

/* --- tokens --- */

static void make_token(const unsigned char key[KEY_SIZE], struct span rump,
                       unsigned char ret[TOKEN_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    HMAC(EVP_sha256(), key, KEY_SIZE, (const unsigned char *)rump.p, rump.n, mac, &n);
    invariant(n >= TOKEN_SIZE - 1);
    ret[0] = TOKEN_MARK;
    memcpy(ret + 1, mac, TOKEN_SIZE - 1);
}

/* Without a look at where they differ. */
static bool token_right(const unsigned char key[KEY_SIZE], const struct imap_url *url)
{
    unsigned char right[TOKEN_SIZE];
    char given[2 * TOKEN_SIZE] = {0};
    autobuf hex = BUF_INIT(2 * TOKEN_SIZE);
    make_token(key, url->rump, right);
    buf_put_hex(&hex, right, sizeof(right));
    for (size_t i = 0; i < MIN(url->token.n, sizeof(given)); i++)
        given[i] = (char)ascii_lower((unsigned char)url->token.p[i]);
    return CRYPTO_memcmp(given, hex.p, sizeof(given)) == 0 && url->token.n == sizeof(given);
}

/* Keys are in the account of whose they are, wherever the mailbox is. */
static int find_key(struct account *signer, const unsigned char object_id[16],
                    unsigned char ret[KEY_SIZE])
{
    autosnap *snap = NULL;
    int rc = snap_begin(signer, &snap);
    return rc ? rc : snap_url_key(snap, object_id, ret);
}

/* --- who may --- */

static bool listed(const char *const *names, const char *user)
{
    for (; names && *names; names++)
        if (strcmp(*names, user) == 0)
            return true;
    return false;
}

/* RFC 5593: sessions of an application are those of the users that the configuration names. */
static const char *const *application_users(const struct session *s, struct span application)
{
    static const char *const nobody[] = {NULL};
    const struct imap_settings *settings = &s->host->settings;
    const char *const *users = span_ieq(application, SPAN("submit"))   ? settings->submit_users
                               : span_ieq(application, SPAN("stream")) ? settings->stream_users
                                                                       : NULL;
    bool known = span_ieq(application, SPAN("submit")) || span_ieq(application, SPAN("stream"));
    return users ? users : known ? nobody : NULL;
}

static bool may_redeem(const struct session *s, const struct imap_url *url)
{
    switch (url->access) {
    case URL_ACCESS_USER:
        return span_eq(url->access_user, span_str(s->user));
    case URL_ACCESS_AUTHUSER:
        return strcmp(s->mechanism, "ANONYMOUS") != 0;
    case URL_ACCESS_ANONYMOUS:
        return true;
    case URL_ACCESS_APPLICATION:
        return listed(application_users(s, url->application), s->user);
    case URL_ACCESS_NONE:
        break;
    }
    return false;
}

/* What does not depend on the user's account. */
static bool well_formed(const struct session *s, const struct imap_url *url)
{
    bool late = url->has_expire && (int64_t)(clock_wall_us() / 1000000) > url->expire;
    return url->absolute && url->user.n && url->access != URL_ACCESS_NONE &&
           span_ieq(url->mechanism, internal) && !late && may_redeem(s, url);
}

/* --- GENURLAUTH --- */

struct sign_state {
    unsigned next;
    struct buf out;
    bool asked;                /* for a key for the mailbox of URL number next */
    unsigned char mailbox[16]; /* its object id */
};

static void sign_cleanup(struct task *t)
{
    struct sign_state *st = t->data;
    buf_done(&st->out);
}

/* Section 7: the session's own URL, whole but for the token, with an access identifier that means
 * something here. */
static bool may_sign(const struct session *s, const struct url_request *r,
                     const struct imap_url *url)
{
    return url->absolute && span_eq(url->user, span_str(s->user)) &&
           url->access != URL_ACCESS_NONE && url->mechanism.n == 0 &&
           span_ieq(r->mechanism, internal) &&
           (url->access != URL_ACCESS_APPLICATION || application_users(s, url->application));
}

static enum step ask_for_key(struct task *t, enum store_mode mode, const unsigned char *object_id)
{
    request_result_done(&t->request);
    request_init(&t->request, REQUEST_URL_KEY, NULL, NULL);
    t->request.object_id = object_id;
    t->request.mode = mode;
    return task_request(t);
}

static int find_readable(struct session *s, const struct place *place, const struct imap_url *url,
                         struct mailbox_info *ret)
{
    autosnap *snap = NULL;
    int rc = snap_begin(place->account, &snap);
    return rc ? rc : url_mailbox_readable(s, snap, place, url, ret);
}

/* One URL: STEP_AGAIN, STEP_WAIT for its key, or STEP_DONE after an answer. */
static enum step sign_next(struct task *t, struct sign_state *st)
{
    struct session *s = t->session;
    const struct url_request *r = &t->command->urls.urls[st->next];
    struct imap_url url;
    struct mailbox_info info;
    unsigned char key[KEY_SIZE], token[TOKEN_SIZE];
    const char *why = "";
    if (imap_url_parse(r->url, &s->host->settings.parse, &t->arena, &url, &why) ||
        !may_sign(s, r, &url))
        return task_bad(t, "That is no URL that can be signed here");
    struct place place;
    int rc = url_place(t, &url, &place);
    if (rc == ERR_AGAIN)
        return STEP_WAIT;
    if (rc == 0)
        rc = find_readable(s, &place, &url, &info);
    if (rc == ERR_NOT_FOUND || rc == ERR_INVALID)
        return task_bad(t, "There is no such mailbox");
    if (rc == 0)
        rc = find_key(s->account, info.object_id, key);
    if (rc == ERR_NOT_FOUND && !st->asked) {
        st->asked = true;
        memcpy(st->mailbox, info.object_id, sizeof(st->mailbox));
        return ask_for_key(t, STORE_ADD, st->mailbox);
    }
    if (rc)
        return task_store_failed(t, rc, false);
    make_token(key, r->url, token);
    autobuf full = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&full, r->url);
    buf_put_lit(&full, ":internal:");
    buf_put_hex(&full, token, sizeof(token));
    buf_put_byte(&st->out, ' ');
    write_string(&st->out, buf_span(&full), false);
    st->asked = false;
    st->next++;
    return STEP_AGAIN;
}

enum step cmd_genurlauth(struct task *t)
{
    struct sign_state *st = t->data;
    if (!st) {
        st = arena_new(&t->arena, struct sign_state);
        if (!st)
            return task_no(t, "LIMIT", "The command needs too much memory");
        buf_init(&st->out, BUF_UNLIMITED);
        t->data = st;
        t->cleanup = sign_cleanup;
    }
    if (st->asked && t->request.result.error)
        return task_store_failed(t, t->request.result.error, false);
    while (st->next < t->command->urls.n) {
        enum step step = sign_next(t, st);
        if (step != STEP_AGAIN)
            return step;
    }
    struct buf *b = respond_begin(t->session);
    buf_put_lit(b, "* GENURLAUTH");
    buf_put_span(b, buf_span(&st->out));
    buf_put_lit(b, "\r\n");
    respond_end(t->session);
    return task_ok(t, NULL, "GENURLAUTH completed");
}

/* --- RESETKEY --- */

/* Section 6: sessions of the user that have the mailbox selected hear of it. */
static void tell_others(struct session *from, uint32_t mailbox)
{
    struct session *s;
    list_each(s, &from->host->sessions, link)
    {
        if (s != from && s->account == from->account && s->view && s->view->mailbox == mailbox &&
            !s->closing && !session_full(s))
            respond_text(s, "* OK [URLMECH INTERNAL] The key of this mailbox was made anew");
    }
}

static bool mechanisms_known(const struct cmd_resetkey *a)
{
    for (unsigned i = 0; i < a->n; i++)
        if (!span_ieq(a->mechanisms[i], internal))
            return false;
    return true;
}

static enum step reset_begin(struct task *t)
{
    const struct cmd_resetkey *a = &t->command->resetkey;
    struct mailbox_info *info = arena_new(&t->arena, struct mailbox_info);
    struct span name;
    if (!info)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = info;
    if (!mechanisms_known(a))
        return task_bad(t, "INTERNAL is the only mechanism here");
    if (!a->has_name)
        return ask_for_key(t, STORE_REPLACE, NULL);
    if (!task_mailbox_name(t, a->name, &name))
        return STEP_DONE;
    autosnap *snap = NULL;
    int rc = snap_begin(t->session->account, &snap);
    if (rc == 0)
        rc = snap_mailbox_find(snap, name, info);
    if (rc)
        return task_store_failed(t, rc, false);
    return ask_for_key(t, STORE_REPLACE, info->object_id);
}

enum step cmd_resetkey(struct task *t)
{
    const struct mailbox_info *info = t->data;
    if (!t->submitted)
        return reset_begin(t);
    if (t->request.result.error)
        return task_store_failed(t, t->request.result.error, false);
    if (!t->command->resetkey.has_name)
        return task_ok(t, NULL, "All keys are void");
    tell_others(t->session, info->id);
    return task_ok(t, "URLMECH INTERNAL", "The key was made anew");
}

/* --- URLFETCH --- */

/* What a URL's user may do with a mailbox of another account, at this moment. */
static bool signer_reads(struct snap *snap, const struct place *place, struct account *signer,
                         const struct imap_url *url, uint32_t mailbox)
{
    const struct identity who = {.user = url->user};
    uint32_t rights;
    if (memcmp(account_get_id(place->account), account_get_id(signer), ACCOUNT_ID_LEN) == 0)
        return true;
    return snap_rights(snap, mailbox, &who, &rights) == 0 && (rights & RIGHT_LOOKUP) &&
           (rights & RIGHT_READ);
}

/* The mailbox, if the token is right. One that is not there costs as much time as one that is. */
static int verify(const struct place *place, struct account *signer, const struct imap_url *url,
                  uint32_t *ret_mailbox)
{
    unsigned char key[KEY_SIZE] = {0};
    struct mailbox_info info = {.id = 0};
    autosnap *snap = NULL;
    int rc = snap_begin(place->account, &snap);
    if (rc == 0)
        rc = url_mailbox_find(snap, place, url, &info);
    bool reads = rc == 0 && signer_reads(snap, place, signer, url, info.id);
    if (rc == 0)
        rc = find_key(signer, info.object_id, key);
    bool right = token_right(key, url);
    OPENSSL_cleanse(key, sizeof(key));
    if (rc == 0)
        *ret_mailbox = info.id;
    return rc ? rc : right && reads ? 0 : ERR_NOT_FOUND;
}

static int open_signed(const struct place *place, struct account *signer,
                       const struct imap_url *url, struct url_data *ret)
{
    uint32_t mailbox = 0;
    int rc = verify(place, signer, url, &mailbox);
    return rc ? rc : url_data_open(place->account, mailbox, url, ret);
}

static void put_url(struct buf *b, struct span url)
{
    buf_put_lit(b, "* URLFETCH ");
    write_astring(b, url, false);
}

/* The bytes as a literal: of chosen header fields from memory, else of the message. */
static int put_data(struct session *s, struct buf **b, struct url_data *d, bool binary)
{
    static const struct fetch_item item = {.kind = ITEM_SECTION};
    if (!d->chosen)
        return binary ? put_bytes8(s, b, &d->access, &item, d->offset, d->length)
                      : put_section(s, b, &d->access, &item, d->offset, d->length);
    struct span fields = span_make(d->fields.p + d->offset, (size_t)d->length);
    if (binary && span_find_byte(fields, '\0') != SPAN_NPOS)
        write_literal8(*b, fields);
    else
        write_literal(*b, fields);
    return 0;
}

/* Section 3 of RFC 5524: without its transfer encoding, where the URL means a part. */
static int put_decoded(struct session *s, struct buf **b, struct url_data *d,
                       const struct imap_url *url)
{
    const struct fetch_section *sec = &url->section;
    struct fetch_item item = {.kind = ITEM_BINARY,
                              .label = SPAN("(BINARY"),
                              .partial = sec->has_partial,
                              .offset = sec->offset,
                              .length = sec->length};
    if (!d->is_part || d->whole) {
        buf_put_lit(*b, "(BINARY ");
        return put_data(s, b, d, true);
    }
    size_t start = (*b)->n;
    int rc = put_binary(s, b, &d->access, &item, &d->part);
    if (rc != ERR_INVALID)
        return rc;
    buf_truncate(*b, start); /* an encoding that nobody knows */
    buf_put_lit(*b, "(BINARY NIL");
    return 0;
}

static int put_structure(struct session *s, struct buf *b, struct url_data *d, bool binary)
{
    struct fetch_item size = {.kind = ITEM_BINARY_SIZE, .label = SPAN("")};
    autobuf number = BUF_INIT(64);
    struct buf *to = &number;
    struct span part = buf_span(&d->structure), encoding, octets;
    buf_put_lit(b, "(BODYPARTSTRUCTURE ");
    if (!binary || !d->is_part || structure_field(part, STRUCTURE_ENCODING, &encoding) ||
        structure_field(part, STRUCTURE_SIZE, &octets) ||
        put_binary(s, &to, &d->access, &size, &d->part)) {
        buf_put_span(b, part);
    } else { /* as it is sent: decoded */
        const char *end = part.p + part.n;
        buf_put(b, part.p, (size_t)(encoding.p - part.p));
        buf_put_lit(b, "\"BINARY\" ");
        buf_put_span(b, span_trim(buf_span(&number)));
        buf_put(b, octets.p + octets.n, (size_t)(end - octets.p - octets.n));
    }
    buf_put_byte(b, ')');
    return 0;
}

static int put_items(struct session *s, struct buf **b, struct url_data *d,
                     const struct url_request *r, const struct imap_url *url)
{
    int rc = 0;
    buf_put_byte(*b, ' ');
    if (r->items == 0)
        return put_data(s, b, d, false);
    if (r->items & URLFETCH_STRUCTURE)
        rc = put_structure(s, *b, d, r->items & URLFETCH_BINARY);
    if (rc || r->items == URLFETCH_STRUCTURE)
        return rc;
    if (r->items & URLFETCH_STRUCTURE)
        buf_put_byte(*b, ' ');
    if (r->items & URLFETCH_BINARY) {
        rc = put_decoded(s, b, d, url);
    } else {
        buf_put_lit(*b, "(BODY ");
        rc = put_data(s, b, d, false);
    }
    buf_put_byte(*b, ')');
    return rc;
}

/* One response. Whatever is wrong with the URL, the answer is the same: NIL. */
static int answer(struct task *t, const struct place *place, struct account *signer,
                  const struct url_request *r, const struct imap_url *url)
{
    struct session *s = t->session;
    struct url_data d = {0};
    int rc = signer ? open_signed(place, signer, url, &d) : ERR_NOT_FOUND;
    if (rc == 0 && (r->items & URLFETCH_STRUCTURE))
        rc = url_data_structure(&d, url);
    struct buf *b = respond_begin(s);
    size_t start = b->n;
    put_url(b, r->url);
    if (rc == 0)
        rc = put_items(s, &b, &d, r, url);
    if (rc && d.access.queued) { /* a response that was begun cannot be taken back */
        session_close(s);
    } else if (rc) {
        buf_truncate(b, start);
        put_url(b, r->url);
        buf_put_lit(b, " NIL");
        rc = rc == ERR_NOT_FOUND || rc == ERR_INVALID || rc == ERR_LIMIT ? 0 : rc;
    }
    buf_put_lit(b, "\r\n");
    respond_end(s);
    url_data_done(&d);
    return rc;
}

/* The account of a URL's user, where that is another one than the session's: asked for once for
 * URLs in a row. */
struct signer {
    struct task *task; /* NULL: gone, while the answer is awaited */
    bool waiting;
    int error;
    struct account *account;
    char *user;
};

struct fetch_state {
    unsigned next;
    struct signer *signer; /* malloc'd: it may outlive the task */
};

static void signer_free(struct signer *g)
{
    if (!g)
        return;
    account_unref(g->account);
    free(g->user);
    free(g);
}

static void fetch_cleanup(struct task *t)
{
    struct fetch_state *st = t->data;
    if (st->signer && st->signer->waiting)
        st->signer->task = NULL;
    else
        signer_free(st->signer);
}

static void signer_found(void *arg, int error, struct account *account)
{
    struct signer *g = arg;
    g->waiting = false;
    g->error = error;
    g->account = account;
    if (g->task)
        task_wake(g->task);
    else
        signer_free(g);
}

/* ERR_AGAIN: signer_found will wake the task. *ret_account NULL: there is no such user. */
static int find_signer(struct task *t, struct fetch_state *st, struct span user,
                       struct account **ret_account)
{
    struct session *s = t->session;
    if (span_eq(user, span_str(s->user))) {
        *ret_account = s->account;
        return 0;
    }
    if (!st->signer || !span_eq(user, span_str(st->signer->user))) {
        signer_free(st->signer);
        st->signer = xnew(struct signer);
        *st->signer = (struct signer){.task = t, .waiting = true, .user = span_dup(user)};
        if (s->host->account_of) {
            s->host->account_of(s->host->account_ctx, user, signer_found, st->signer);
            return ERR_AGAIN;
        }
        st->signer->waiting = false;
        st->signer->error = ERR_NOT_FOUND;
    }
    if (st->signer->waiting)
        return ERR_AGAIN;
    *ret_account = st->signer->account;
    return st->signer->error == ERR_NOT_FOUND ? 0 : st->signer->error;
}

/* The mailbox as the URL's user names it: his own ones are not those of the session. */
static int find_place(struct task *t, const struct imap_url *url, struct account *signer,
                      struct place *ret)
{
    int rc = url_place(t, url, ret);
    if (rc == 0 && ret->prefix.n == 0)
        ret->account = signer;
    return rc;
}

/* ERR_AGAIN: an account is being looked for. */
static int fetch_next(struct task *t, struct fetch_state *st)
{
    const struct url_request *r = &t->command->urls.urls[st->next];
    const struct imap_settings *settings = &t->session->host->settings;
    struct imap_url url;
    struct place place = {0};
    struct account *signer = NULL;
    const char *why;
    int rc = imap_url_parse(r->url, &settings->parse, &t->arena, &url, &why);
    if (rc == 0 && well_formed(t->session, &url)) {
        rc = find_signer(t, st, url.user, &signer);
        if (rc == 0 && signer)
            rc = find_place(t, &url, signer, &place);
        if (rc == ERR_NOT_FOUND || rc == ERR_INVALID)
            signer = NULL;
        else if (rc)
            return rc;
    }
    rc = answer(t, &place, signer, r, &url);
    st->next++;
    return rc;
}

enum step cmd_urlfetch(struct task *t)
{
    const struct cmd_urls *a = &t->command->urls;
    struct fetch_state *st = t->data;
    if (!st) {
        t->data = st = arena_new(&t->arena, struct fetch_state);
        if (!st)
            return task_no(t, "LIMIT", "The command needs too much memory");
        t->cleanup = fetch_cleanup;
    }
    for (int i = 0; i < 16 && st->next < a->n && !session_full(t->session); i++) {
        int rc = fetch_next(t, st);
        if (rc == ERR_AGAIN)
            return STEP_WAIT;
        if (rc)
            return task_store_failed(t, rc, false);
    }
    return st->next < a->n ? STEP_AGAIN : task_ok(t, NULL, "URLFETCH completed");
}
