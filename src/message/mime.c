/* The streaming parser: lines, boundaries and the tree of parts.
 *
 * Outside of headers nothing is looked at but line feeds, except that a line beginning with "--" is
 * gathered and compared with the boundaries of the multiparts that are open. All offsets and line
 * counts are taken from two running totals (bytes and line feeds passed), so a part costs nothing
 * while its body goes by, however deeply it is nested. */
#include "message/mime_int.h"

#define LINE_KEEP 4096 /* more than "--", a boundary and "--" */

const struct mime_limits mime_limits_default = {
    .max_header = 65536,
    .max_parts = 1000,
    .max_depth = 100,
    .max_structure = 262144,
    .max_kept = 8192,
};

static struct mime_limits sane_limits(const struct mime_limits *l)
{
    struct mime_limits s = l ? *l : mime_limits_default;
    s.max_header = MIN(s.max_header, 16u << 20);
    s.max_parts = MAX(1u, MIN(s.max_parts, 60000u));
    s.max_depth = MIN(s.max_depth, 1000u);
    s.max_structure = MIN(s.max_structure, 64u << 20);
    s.max_kept = MIN(s.max_kept, 60000u);
    return s;
}

/* --- Parts -------------------------------------------------------------------------------- */

static uint32_t add_node(struct mime_parser *p, uint32_t parent, uint64_t offset, uint64_t lines)
{
    if (p->n_nodes == p->cap_nodes) {
        p->cap_nodes = p->cap_nodes ? p->cap_nodes * 2 : 8;
        p->nodes = xrealloc_array(p->nodes, p->cap_nodes, sizeof(*p->nodes));
    }
    uint32_t i = p->n_nodes++;
    struct node *n = &p->nodes[i];
    *n = (struct node){
        .parent = parent,
        .first_child = NODE_NONE,
        .last_child = NODE_NONE,
        .next = NODE_NONE,
        .kind = PART_TEXT,
        .number = 1,
        .header_offset = offset,
        .header_lines = lines,
        .body_lines = lines,
    };
    if (parent != NODE_NONE) {
        struct node *up = &p->nodes[parent];
        n->depth = up->depth + 1;
        if (up->last_child == NODE_NONE) {
            up->first_child = i;
        } else {
            p->nodes[up->last_child].next = i;
            n->number = p->nodes[up->last_child].number + 1;
        }
        up->last_child = i;
    }
    if (p->n_nodes == p->limits.max_parts)
        p->full = true;
    return i;
}

/* Begin to read the header of a new part at pos. */
static void begin_part(struct mime_parser *p, uint32_t parent, bool message_root)
{
    p->cur = add_node(p, parent, p->pos, p->st.lines);
    p->nodes[p->cur].message_root = message_root;
    p->in_header = true;
    p->line_start = true;
    buf_reset(&p->header);
    p->header_line = 0;
    p->header_cut = false;
}

static void push_frame(struct mime_parser *p, uint32_t node, struct span boundary)
{
    if (p->n_frames == p->cap_frames) {
        p->cap_frames = p->cap_frames ? p->cap_frames * 2 : 4;
        p->frames = xrealloc_array(p->frames, p->cap_frames, sizeof(*p->frames));
    }
    p->frames[p->n_frames++] =
        (struct frame){node, (uint32_t)p->boundaries.n, (uint32_t)boundary.n};
    buf_put_span(&p->boundaries, boundary);
}

static void pop_frames(struct mime_parser *p, uint32_t keep)
{
    if (keep < p->n_frames) {
        buf_truncate(&p->boundaries, p->frames[keep].boundary);
        p->n_frames = keep;
    }
}

/* The body of part i, which may be what its message's preview is made of, begins. */
static void begin_preview(struct mime_parser *p, uint32_t i)
{
    const struct node *n = &p->nodes[i];
    uint32_t alternative = PART_NONE;
    bool enclosed = false;
    for (uint32_t up = n->parent; up != NODE_NONE; up = p->nodes[up].parent) {
        enclosed |= p->nodes[up].kind == PART_MESSAGE;
        if (p->nodes[up].alternative && !enclosed && alternative == PART_NONE)
            alternative = up;
    }
    if (!p->preview)
        p->preview = preview_new();
    struct span charset = span_make(p->texts.p + n->charset.at, n->charset.n);
    p->preview_on = preview_part_begin(p->preview, (enum preview_kind)n->preview,
                                       (enum part_cte)n->cte, charset, alternative, enclosed);
    p->preview_node = p->preview_on ? i : NODE_NONE;
}

static void feed_preview(struct mime_parser *p, struct span s)
{
    if (p->preview_on)
        p->preview_on = preview_part_feed(p->preview, s);
}

/* The header of the current part ends at offset (lines: line feeds before that), where its body
 * begins. A message/rfc822 goes on with the header of its inner message. */
static void end_header(struct mime_parser *p, uint64_t offset, uint64_t lines)
{
    struct node *n = &p->nodes[p->cur];
    uint32_t i = p->cur;
    autobuf boundary = BUF_INIT(BUF_UNLIMITED);
    n->header_length = offset - n->header_offset;
    n->header_lines = lines - n->header_lines;
    n->body_lines = lines;
    p->in_header = false;
    p->line_start = true;
    if (i == 0)
        p->root_cut = p->header_cut;
    structure_read_header(p, i, &boundary);
    n = &p->nodes[i];
    bool container = n->kind == PART_MULTIPART || n->kind == PART_MESSAGE;
    if ((container && (p->full || n->depth >= p->limits.max_depth)) || (p->full && i > 0)) {
        structure_make_opaque(p, i);
        p->limited = true;
        return;
    }
    if (n->kind == PART_MULTIPART && boundary.n > 0)
        push_frame(p, i, buf_span(&boundary));
    if (n->kind == PART_MESSAGE)
        begin_part(p, i, true);
    else if (n->kind == PART_TEXT && n->preview != PREVIEW_NONE)
        begin_preview(p, i);
}

/* The body of part i ends at *offset (*lines: line feeds before that). If the line break before the
 * boundary is also the end of the part's header, it is the header's: the body is empty, and *offset
 * moves behind it, so that what holds the part ends no earlier. */
static void end_part(struct mime_parser *p, uint32_t i, uint64_t *offset, uint64_t *lines)
{
    struct node *n = &p->nodes[i];
    uint64_t begin = n->header_offset + n->header_length;
    *offset = MAX(*offset, begin);
    *lines = MAX(*lines, n->body_lines);
    n->body_length = *offset - begin;
    n->body_lines = *lines - n->body_lines;
    if (p->preview_node == i) {
        preview_part_end(p->preview);
        p->preview_node = NODE_NONE;
        p->preview_on = false;
    }
    if (n->kind != PART_MULTIPART || n->first_child != NODE_NONE)
        return;
    if (p->full) {
        structure_make_opaque(p, i);
        p->limited = true;
        return;
    }
    uint32_t child = add_node(p, i, *offset, 0);
    p->nodes[child].header_lines = p->nodes[child].body_lines = 0;
    structure_make_empty_text(p, child);
}

/* Ends every open part inside of node keep (NODE_NONE: all). */
static void end_parts(struct mime_parser *p, uint32_t keep, uint64_t offset, uint64_t lines)
{
    while (p->cur != keep) {
        uint32_t up = p->nodes[p->cur].parent;
        end_part(p, p->cur, &offset, &lines);
        p->cur = up;
    }
}

/* --- Boundaries --------------------------------------------------------------------------- */

/* Whether a boundary of n bytes at the begin of line ends there: at the end of the line, at white
 * space (transport padding) or at "--". RFC 2046 section 5.1.1 would let anything follow, but then
 * "b1" would also be found in "b10" of a nested multipart whose boundary is not known here, because
 * its part is opaque or its header damaged. Mail programs therefore look at what follows. */
static bool boundary_ends(struct span line, uint32_t n)
{
    line = span_skip(line, n);
    if (line.n == 0 || n >= BOUNDARY_MAX) /* perhaps cut */
        return true;
    char c = line.p[0];
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || span_starts(line, SPAN("--"));
}

/* The innermost of the longest boundaries that the line begins with: the longest, as a boundary may
 * go on after another one with white space or "--". UINT32_MAX if there is none. */
static uint32_t match_boundary(const struct mime_parser *p, struct span line, bool *ret_closing)
{
    uint32_t best = UINT32_MAX, best_n = 0;
    if (p->full || !span_starts(line, SPAN("--")))
        return best;
    line = span_skip(line, 2);
    for (uint32_t i = p->n_frames; i-- > 0;) {
        const struct frame *f = &p->frames[i];
        if (f->boundary_n > best_n && f->boundary_n <= line.n &&
            memcmp(p->boundaries.p + f->boundary, line.p, f->boundary_n) == 0 &&
            boundary_ends(line, f->boundary_n)) {
            best = i;
            best_n = f->boundary_n;
        }
    }
    if (best != UINT32_MAX)
        *ret_closing = span_starts(span_skip(line, best_n), SPAN("--"));
    return best;
}

/* The gathered line is complete and pos is behind it. True if it was a boundary: then parts were
 * ended and, unless it was a closing one, the next part was begun. */
static bool take_boundary(struct mime_parser *p, struct span line)
{
    bool closing = false;
    uint32_t k = match_boundary(p, line, &closing);
    if (k == UINT32_MAX)
        return false;
    uint32_t node = p->frames[k].node;
    uint64_t end = p->line_offset, lines = p->line_lines;
    if (p->in_header) {
        buf_truncate(&p->header, p->header_line);
        end_header(p, end, lines);
        while (p->in_header) { /* a message/rfc822: its inside is empty */
            buf_reset(&p->header);
            p->nodes[p->cur].header_offset = end;
            p->nodes[p->cur].header_lines = lines;
            end_header(p, end, lines);
        }
    }
    /* The line break before the boundary belongs to the boundary. */
    uint64_t cut = p->line_after_crlf ? 2 : 1;
    end_parts(p, node, end >= cut ? end - cut : 0, lines > 0 ? lines - 1 : 0);
    pop_frames(p, closing ? k : k + 1);
    p->in_header = false;
    p->line_start = true;
    if (!closing && p->full) {
        /* Reached by the parts just ended. */
        p->limited = true;
    } else if (!closing) {
        begin_part(p, node, false);
    }
    return true;
}

/* --- Lines -------------------------------------------------------------------------------- */

/* Passes n bytes of the chunk. */
static void pass(struct mime_parser *p, struct span *chunk, size_t n)
{
    if (n >= 2) {
        memcpy(p->last, chunk->p + n - 2, 2);
    } else if (n == 1) {
        p->last[0] = p->last[1];
        p->last[1] = chunk->p[0];
    }
    p->pos += n;
    *chunk = span_skip(*chunk, n);
}

/* Takes bytes of the line that begins or goes on at pos, to its LF or to the end of the chunk. True
 * if the line is complete; *ret_line is then its begin, up to LINE_KEEP bytes. */
static bool gather_line(struct mime_parser *p, struct span *chunk, struct span *ret_line)
{
    size_t lf = span_find_byte(*chunk, '\n');
    size_t n = lf == SPAN_NPOS ? chunk->n : lf + 1;
    struct span part = span_head(*chunk, n);
    bool fresh = p->line_n == 0;
    if (fresh) {
        p->line_offset = p->pos;
        p->line_lines = p->st.lines;
        p->line_after_crlf = p->last[0] == '\r' && p->last[1] == '\n';
        buf_reset(&p->line);
    }
    p->line_n += n;
    if (p->in_header) {
        size_t room = p->limits.max_header - MIN(p->header.n, p->limits.max_header);
        if (fresh)
            p->header_line = p->header.n;
        buf_put_span(&p->header, span_head(part, room));
        p->header_cut |= n > room;
    }
    bool high = p->st.high;
    p->st.high = false;
    scan_body(part, false, &p->st);
    p->high_header |= p->in_header && p->st.high;
    p->high_body |= !p->in_header && p->st.high;
    p->st.high |= high;
    pass(p, chunk, n);
    if (lf == SPAN_NPOS || !fresh)
        buf_put_span(&p->line, span_head(part, LINE_KEEP - MIN(p->line.n, LINE_KEEP)));
    *ret_line = fresh ? part : buf_span(&p->line);
    return lf != SPAN_NPOS;
}

static enum derived_blank blank_line(struct span line, uint64_t n)
{
    if (n == 1 && line.p[0] == '\n')
        return DERIVED_BLANK_LF;
    return n == 2 && line.p[0] == '\r' && line.p[1] == '\n' ? DERIVED_BLANK_CRLF
                                                            : DERIVED_BLANK_NONE;
}

static void feed_header(struct mime_parser *p, struct span *chunk)
{
    struct span line;
    if (!gather_line(p, chunk, &line))
        return;
    uint64_t n = p->line_n;
    p->line_n = 0;
    enum derived_blank blank = blank_line(line, n);
    if (blank != DERIVED_BLANK_NONE) {
        if (p->cur == 0)
            p->blank = (uint8_t)blank;
        end_header(p, p->pos, p->st.lines);
    } else if (p->n_frames > 0) {
        take_boundary(p, line);
    }
}

/* Whether the line at pos can still be a boundary, by the bytes that are there. */
static bool may_be_boundary(const struct mime_parser *p, struct span chunk)
{
    if (p->line_n >= 2)
        return true; /* seen before */
    if (chunk.p[0] != '-')
        return false;
    return p->line_n == 1 || chunk.n < 2 || chunk.p[1] == '-';
}

static void feed_body(struct mime_parser *p, struct span *chunk)
{
    bool look = p->n_frames > 0 && !p->full;
    if (look && (p->line_n > 0 || p->line_start) && may_be_boundary(p, *chunk)) {
        struct span line;
        if (gather_line(p, chunk, &line)) {
            p->line_n = 0;
            p->line_start = true;
            if (!take_boundary(p, line))
                feed_preview(p, span_head(line, LINE_KEEP));
        }
        return;
    }
    if (p->line_n > 0) /* no boundary after all */
        feed_preview(p, buf_span(&p->line));
    p->line_n = 0;
    p->line_start = false;
    bool high = p->st.high;
    p->st.high = false;
    size_t n = scan_body(*chunk, look, &p->st);
    feed_preview(p, span_head(*chunk, n));
    p->high_body |= p->st.high;
    p->st.high |= high;
    p->line_start = chunk->p[n - 1] == '\n';
    pass(p, chunk, n);
}

/* --- Public ------------------------------------------------------------------------------- */

struct mime_parser *mime_parser_new(const struct mime_limits *limits)
{
    struct mime_parser *p = xnew(struct mime_parser);
    p->limits = sane_limits(limits);
    struct buf *bufs[] = {&p->line, &p->header,     &p->boundaries, &p->texts,
                          &p->kept, &p->kept_index, &p->scratch,    &p->sort};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_init(bufs[i], BUF_UNLIMITED);
    param_list_init(&p->params);
    address_iter_init(&p->addresses, SPAN_EMPTY);
    mime_parser_reset(p);
    return p;
}

void mime_parser_free(struct mime_parser *p)
{
    if (!p)
        return;
    struct buf *bufs[] = {&p->line, &p->header,     &p->boundaries, &p->texts,
                          &p->kept, &p->kept_index, &p->scratch,    &p->sort};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_done(bufs[i]);
    param_list_done(&p->params);
    address_iter_done(&p->addresses);
    preview_free(p->preview);
    free(p->nodes);
    free(p->frames);
    free(p);
}

/* Memory that an unusual message needed is not kept for the usual ones. */
static void shrink(struct buf *b)
{
    if (b->cap > 65536)
        buf_done(b);
    else
        buf_reset(b);
}

void mime_parser_reset(struct mime_parser *p)
{
    struct buf *bufs[] = {&p->line, &p->header,     &p->boundaries, &p->texts,
                          &p->kept, &p->kept_index, &p->sort};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        shrink(bufs[i]);
    p->pos = 0;
    p->st = (struct scan_stats){0, false, false};
    p->last[0] = p->last[1] = '\0';
    p->full = p->limited = p->high_header = p->high_body = false;
    p->line_n = 0;
    p->n_nodes = p->n_frames = 0;
    p->texts_base = 0;
    p->missing[0] = p->missing[1] = 0;
    p->others = (struct name_bits){{0, 0}};
    p->has_others = p->root_cut = p->sent_valid = false;
    p->blank = DERIVED_BLANK_NONE;
    p->sent = (struct header_date){0, 0, 0};
    p->preview_node = NODE_NONE;
    p->preview_on = false;
    if (p->preview)
        preview_reset(p->preview);
    begin_part(p, NODE_NONE, true);
}

void mime_parser_feed(struct mime_parser *p, struct span chunk)
{
    while (chunk.n > 0) {
        if (p->in_header)
            feed_header(p, &chunk);
        else
            feed_body(p, &chunk);
    }
}

void mime_parser_finish(struct mime_parser *p, struct buf *ret_derived)
{
    if (p->line_n > 0) { /* the last line has no line break */
        bool in_header = p->in_header;
        p->line_n = 0;
        if (!take_boundary(p, buf_span(&p->line)) && !in_header)
            feed_preview(p, buf_span(&p->line));
    }
    while (p->in_header) /* again where that began an inner message */
        end_header(p, p->pos, p->st.lines);
    end_parts(p, NODE_NONE, p->pos, p->st.lines);
    record_put(p, ret_derived);
    mime_parser_reset(p);
}

void mime_parse(struct span message, struct buf *ret_derived)
{
    struct mime_parser *p = mime_parser_new(NULL);
    mime_parser_feed(p, message);
    mime_parser_finish(p, ret_derived);
    mime_parser_free(p);
}
