#include "imap/catenate.h"

#include "imap/commands.h"

enum { COPY_CHUNK = 64 * 1024, CHUNKS_PER_SLICE = 8 };

/* RFC 4469 section 4.1. The example shows the URL in quotes; what could end them or the code is
 * percent-encoded. */
enum step task_bad_url(struct task *t, struct span url)
{
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&code, "BADURL \"");
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == ']' || c == '\\')
            buf_printf(&code, "%%%02X", c);
        else
            buf_put_byte(&code, (char)c);
    }
    buf_put_byte(&code, '"');
    return task_no(t, code.p, "That URL names no message or part here; nothing was stored");
}

/* What a URL without a mailbox means is the selected one. */
static int find_mailbox(struct task *t, const struct imap_url *url, struct account **ret_account,
                        uint32_t *ret_mailbox)
{
    struct session *s = t->session;
    autosnap *snap = NULL;
    struct mailbox_info info;
    struct place place;
    if (!url->has_mailbox) {
        if (!s->view || s->view->gone)
            return ERR_NOT_FOUND;
        *ret_account = s->view->account;
        *ret_mailbox = s->view->mailbox;
        return 0;
    }
    int rc = url_place(t, url, &place);
    if (rc == 0)
        rc = snap_begin(place.account, &snap);
    if (rc == 0)
        rc = url_mailbox_readable(s, snap, &place, url, &info);
    if (rc)
        return rc;
    *ret_account = place.account;
    *ret_mailbox = info.id;
    return 0;
}

/* RFC 4469 section 3: relative URLs alone, seen from the selected mailbox. */
static int open_url(struct task *t, struct catenate *c, struct span text)
{
    struct session *s = t->session;
    struct imap_url url;
    const char *why;
    struct account *account = NULL;
    uint32_t mailbox = 0;
    int rc = imap_url_parse(text, &s->host->settings.parse, &t->arena, &url, &why);
    if (rc == 0 && (url.absolute || url.access != URL_ACCESS_NONE))
        rc = ERR_INVALID;
    if (rc == 0)
        rc = find_mailbox(t, &url, &account, &mailbox);
    if (rc == 0)
        rc = url_data_open(account, mailbox, &url, &c->source);
    c->open = rc == 0;
    c->at = 0;
    if (rc != ERR_NOT_FOUND && rc != ERR_INVALID)
        return rc;
    c->bad_url = text;
    return ERR_NOT_FOUND;
}

/* A chunk of a piece; *ret_length: of all of it. */
static int read_piece(struct catenate *c, const struct append_piece *piece, struct buf *to,
                      uint64_t *ret_length)
{
    struct upload *text = piece->text.streamed ? c->arrived[piece->text.index] : NULL;
    *ret_length = piece->is_url ? c->source.length : text ? upload_size(text) : piece->text.data.n;
    size_t n = (size_t)MIN(*ret_length - c->at, (uint64_t)COPY_CHUNK);
    if (piece->is_url)
        return url_data_read(&c->source, c->at, n, to);
    if (text)
        return upload_read(text, c->at, n, to);
    buf_put(to, piece->text.data.p + c->at, n);
    return 0;
}

static void next_piece(struct catenate *c)
{
    if (c->open)
        url_data_done(&c->source);
    c->open = false;
    c->at = 0;
    c->piece++;
}

static int copy_chunk(struct task *t, struct catenate *c, const struct append_piece *piece)
{
    autobuf chunk = BUF_INIT(COPY_CHUNK);
    uint64_t length = 0;
    int rc = piece->is_url && !c->open ? open_url(t, c, piece->url) : 0;
    if (rc == 0)
        rc = read_piece(c, piece, &chunk, &length);
    if (rc)
        return rc;
    if (chunk.n > t->session->host->settings.frame.max_streamed_literal - upload_size(c->to))
        return ERR_LIMIT;
    rc = upload_write(c->to, buf_span(&chunk));
    c->at += chunk.n;
    if (rc == 0 && c->at == length)
        next_piece(c);
    return rc;
}

int catenate_step(struct task *t, struct catenate *c, const struct append_part *m)
{
    for (int i = 0; c->piece < m->n_pieces; i++) {
        if (i == CHUNKS_PER_SLICE)
            return ERR_AGAIN;
        int rc = copy_chunk(t, c, &m->pieces[c->piece]);
        if (rc)
            return rc;
    }
    return upload_finish(c->to);
}

void catenate_done(struct catenate *c)
{
    if (c->open)
        url_data_done(&c->source);
    c->open = false;
}
