/* N terms against one message. What has to be read is planned from the derived record when the
 * message is begun, so that the record (and the transaction it came from) is not needed later. */
#include "message/charset.h"
#include "message/textmatch_int.h"

#define READ_MAX  65536
#define FIELD_MAX 65536 /* of one header field gathered */

enum range_kind { RANGE_HEADER, RANGE_MESSAGE_HEADER, RANGE_BODY };

struct range {
    uint64_t offset, length;
    uint8_t kind, cte;
    uint8_t charset_n;
    char charset[41];
};

struct message_search {
    struct search_term *terms;
    size_t n_terms;
    uint64_t body, text, header; /* terms by kind, as bits */
    uint64_t decided, matched;
    uint8_t score[64]; /* of HEADER terms */

    struct text_search *search;

    struct message_source source;
    struct range *ranges;
    size_t n_ranges, cap_ranges, at;
    uint64_t done; /* bytes of the range at hand */
    bool begun;    /* the range at hand was */

    struct buf lines; /* header lines gathered */
    struct buf decoded, scratch;
};

struct message_search *message_search_new(const struct search_term *terms, size_t n)
{
    invariant(n <= 64);
    struct message_search *s = xnew(struct message_search);
    const struct needle *needles[64];
    s->terms = xcalloc(n + 1, sizeof(*s->terms));
    s->n_terms = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = UINT64_C(1) << i;
        s->terms[i] = terms[i];
        needles[i] = terms[i].needle;
        s->body |= terms[i].where == SEARCH_BODY ? bit : 0;
        s->text |= terms[i].where == SEARCH_TEXT ? bit : 0;
        s->header |= terms[i].where == SEARCH_HEADER ? bit : 0;
    }
    s->search = text_search_new(needles, n);
    buf_init(&s->lines, BUF_UNLIMITED);
    buf_init(&s->decoded, BUF_UNLIMITED);
    buf_init(&s->scratch, BUF_UNLIMITED);
    return s;
}

void message_search_free(struct message_search *s)
{
    if (!s)
        return;
    text_search_free(s->search);
    buf_done(&s->lines);
    buf_done(&s->decoded);
    buf_done(&s->scratch);
    free(s->ranges);
    free(s->terms);
    free(s);
}

unsigned message_search_score(const struct message_search *s, size_t term)
{
    if (term >= s->n_terms)
        return 0;
    if (s->terms[term].where == SEARCH_HEADER)
        return s->score[term];
    return s->matched >> term & 1 ? 100 : text_search_score(s->search, term);
}

bool message_search_found(const struct message_search *s, size_t term)
{
    return message_search_score(s, term) > 0;
}

/* --- The plan ----------------------------------------------------------------------------- */

static void decide(struct message_search *s, size_t term, bool match)
{
    s->decided |= UINT64_C(1) << term;
    if (match)
        s->matched |= UINT64_C(1) << term;
}

/* A HEADER term has met one of its fields: the best counts, and nothing is better than 100. */
static void note_field(struct message_search *s, size_t term, unsigned score)
{
    s->score[term] = (uint8_t)MAX((unsigned)s->score[term], score);
    if (s->score[term] == 100)
        decide(s, term, true);
}

/* SEARCH FROM and the like look at addresses, and HEADER FROM is no less tolerant. */
static unsigned matches_field(const struct search_term *t, struct span value, struct buf *scratch)
{
    enum header_id id = header_id(t->field);
    bool addresses = (id >= HEADER_FROM && id <= HEADER_BCC) ||
                     (id >= HEADER_RESENT_FROM && id <= HEADER_RESENT_BCC);
    unsigned score = needle_score_in_header(t->needle, value, scratch);
    if (score == 0 && addresses && needle_in_addresses(t->needle, value, scratch))
        score = 100;
    return score;
}

/* HEADER terms that the record answers. */
static void ask_record(struct message_search *s, struct span rec)
{
    for (size_t i = 0; i < s->n_terms; i++) {
        const struct search_term *t = &s->terms[i];
        if (t->where != SEARCH_HEADER)
            continue;
        enum derived_has has = derived_has_field(rec, t->field);
        if (has == DERIVED_UNKNOWN)
            continue;
        uint32_t pos = 0;
        struct span value;
        while (has == DERIVED_KEPT && s->score[i] < 100 &&
               derived_field_next(rec, header_id(t->field), &pos, &value))
            note_field(s, i, matches_field(t, value, &s->scratch));
        decide(s, i, s->score[i] > 0);
    }
}

static void plan(struct message_search *s, enum range_kind kind, uint64_t offset, uint64_t length,
                 const struct mime_part *part)
{
    if (length == 0)
        return;
    if (s->n_ranges == s->cap_ranges) {
        s->cap_ranges = s->cap_ranges ? s->cap_ranges * 2 : 8;
        s->ranges = xrealloc_array(s->ranges, s->cap_ranges, sizeof(*s->ranges));
    }
    struct range *r = &s->ranges[s->n_ranges++];
    *r = (struct range){.offset = offset, .length = length, .kind = (uint8_t)kind, .cte = CTE_8BIT};
    if (kind != RANGE_BODY || part->opaque || part->kind == PART_MULTIPART)
        return;
    r->cte = (uint8_t)part->cte;
    r->charset_n = (uint8_t)MIN(part->charset.n, sizeof(r->charset));
    if (r->charset_n > 0)
        memcpy(r->charset, part->charset.p, r->charset_n);
}

/* A multipart in which the parser found nothing has one child without any bytes. */
static bool is_broken_multipart(struct span rec, const struct mime_part *p)
{
    struct mime_part c;
    return p->kind == PART_MULTIPART && derived_part(rec, p->first_child, &c) == 0 &&
           c.header_length == 0 && c.body_length == 0 && c.next_sibling == PART_NONE;
}

static int plan_part(struct message_search *s, struct span rec, uint32_t i)
{
    struct mime_part p;
    int r = derived_part(rec, i, &p);
    if (r < 0)
        return ERR_CORRUPT;
    bool text = s->text & ~s->decided, body = (s->text | s->body) & ~s->decided;
    if (i == 0 && (text || (s->header & ~s->decided)))
        plan(s, RANGE_MESSAGE_HEADER, p.header_offset, p.header_length, &p);
    else if (i > 0 && text)
        plan(s, RANGE_HEADER, p.header_offset, p.header_length, &p);
    bool searched = p.kind == PART_TEXT || p.kind == PART_MESSAGE_OTHER || p.opaque ||
                    is_broken_multipart(rec, &p);
    if (searched && body)
        plan(s, RANGE_BODY, p.body_offset, p.body_length, &p);
    return 0;
}

int message_search_begin(struct message_search *s, struct span rec, struct message_source source)
{
    uint32_t n = derived_part_count(rec);
    if (n == 0)
        return ERR_CORRUPT;
    text_search_reset(s->search);
    s->source = source;
    s->decided = s->matched = 0;
    memset(s->score, 0, sizeof(s->score));
    s->n_ranges = s->at = 0;
    s->done = 0;
    s->begun = false;
    for (size_t i = 0; i < s->n_terms; i++)
        if (s->terms[i].where != SEARCH_HEADER && needle_is_empty(s->terms[i].needle))
            decide(s, i, true);
    ask_record(s, rec);
    if (!((s->text | s->body | s->header) & ~s->decided))
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        int r = plan_part(s, rec, i);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- Header lines ------------------------------------------------------------------------- */

/* The first line with its continuations. */
static struct span take_group(struct span *lines)
{
    size_t n = 0;
    do {
        size_t lf = span_find_byte(span_skip(*lines, n), '\n');
        n = lf == SPAN_NPOS ? lines->n : n + lf + 1;
    } while (n < lines->n && (lines->p[n] == ' ' || lines->p[n] == '\t'));
    struct span group = span_head(*lines, n);
    *lines = span_skip(*lines, n);
    return group;
}

void header_lines_decode(struct span lines, struct buf *out)
{
    while (lines.n > 0) {
        struct span group = take_group(&lines);
        bool plain = ascii_prefix(group) == group.n && span_find(group, SPAN("=?")) == SPAN_NPOS;
        if (plain)
            header_unfold(group, out);
        else
            header_decode(group, out);
        buf_put_lit(out, "\r\n");
    }
}

/* HEADER terms that the record could not answer. */
static void match_fields(struct message_search *s, struct span lines)
{
    struct header_field f;
    while (header_next(&lines, &f))
        for (uint64_t w = s->header & ~s->decided; w; w &= w - 1) {
            size_t i = (size_t)__builtin_ctzll(w);
            if (span_ieq(s->terms[i].field, f.name))
                note_field(s, i, matches_field(&s->terms[i], f.value, &s->scratch));
        }
}

/* Looks at the first n bytes gathered: whole fields, or as much of one as is kept. */
static void use_lines(struct message_search *s, const struct range *r, size_t n)
{
    struct span lines = span_head(buf_span(&s->lines), n);
    if (r->kind == RANGE_MESSAGE_HEADER)
        match_fields(s, lines);
    if (s->text & ~s->decided) {
        buf_reset(&s->decoded);
        header_lines_decode(lines, &s->decoded);
        text_search_feed(s->search, buf_span(&s->decoded));
    }
    buf_consume(&s->lines, n);
}

/* Where the last line begins that cannot be a continuation of what is before it; 0 if unknown. */
static size_t whole_fields(struct span s)
{
    for (size_t i = s.n; i-- > 1;)
        if (s.p[i - 1] == '\n' && s.p[i] != ' ' && s.p[i] != '\t')
            return i;
    return 0;
}

static void feed_header(struct message_search *s, const struct range *r, struct span chunk)
{
    while (chunk.n > 0) {
        /* In pieces, so that what is gathered stays bounded. */
        buf_put_span(&s->lines, span_head(chunk, FIELD_MAX));
        chunk = span_skip(chunk, FIELD_MAX);
        size_t n = whole_fields(buf_span(&s->lines));
        if (n == 0 && s->lines.n >= FIELD_MAX)
            n = s->lines.n;
        if (n > 0)
            use_lines(s, r, n);
    }
}

/* --- Slices ------------------------------------------------------------------------------- */

static void begin_range(struct message_search *s, const struct range *r)
{
    bool body = r->kind == RANGE_BODY;
    text_search_select(s->search, body ? s->text | s->body : s->text);
    if (body)
        text_search_begin(s->search, r->cte, span_make(r->charset, r->charset_n));
    else
        text_search_begin(s->search, CTE_8BIT, SPAN("utf-8"));
    buf_reset(&s->lines);
    s->done = 0;
    s->begun = true;
}

static void end_range(struct message_search *s, const struct range *r)
{
    if (r->kind != RANGE_BODY && s->lines.n > 0)
        use_lines(s, r, s->lines.n);
    text_search_end(s->search);
    s->begun = false;
    s->at++;
}

/* Terms that were found need no further look. */
static void take_results(struct message_search *s)
{
    uint64_t found = text_search_bits(s->search) & (s->text | s->body);
    s->decided |= found;
    s->matched |= found;
}

/* Whether the range can still change anything. */
static bool is_needed(const struct message_search *s, const struct range *r)
{
    uint64_t open = ~s->decided;
    uint64_t about = r->kind == RANGE_BODY             ? s->text | s->body
                     : r->kind == RANGE_MESSAGE_HEADER ? s->text | s->header
                                                       : s->text;
    return about & open;
}

static int read_some(struct message_search *s, const struct range *r, size_t max, struct span *ret)
{
    uint64_t offset = r->offset + s->done, left = r->length - s->done;
    size_t n = (size_t)MIN(left, (uint64_t)max);
    if (!s->source.read) {
        if (offset >= s->source.bytes.n)
            return ERR_CORRUPT; /* the record is of another message */
        *ret = span_head(span_skip(s->source.bytes, (size_t)offset), n);
        return 0;
    }
    int e = s->source.read(s->source.arg, offset, MIN(n, READ_MAX), ret);
    if (e == 0 && (ret->n == 0 || ret->n > n))
        e = ERR_CORRUPT;
    return e;
}

int message_search_step(struct message_search *s, size_t max_bytes)
{
    size_t budget = MAX(max_bytes, (size_t)1);
    while (s->at < s->n_ranges) {
        const struct range *r = &s->ranges[s->at];
        if (!is_needed(s, r)) {
            s->begun = false;
            s->at++;
            continue;
        }
        if (budget == 0)
            return 1;
        if (!s->begun)
            begin_range(s, r);
        struct span chunk;
        int e = read_some(s, r, budget, &chunk);
        if (e < 0)
            return e;
        if (r->kind == RANGE_BODY)
            text_search_feed(s->search, chunk);
        else
            feed_header(s, r, chunk);
        s->done += chunk.n;
        budget -= MIN(budget, chunk.n);
        if (s->done == r->length)
            end_range(s, r);
        take_results(s);
    }
    return 0;
}
