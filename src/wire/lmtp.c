#include "wire/lmtp.h"

#include "wire/mutf7.h"

static const struct lmtp_error err_unknown = {500, "5.5.1", "Command not recognized"};
static const struct lmtp_error err_control = {500, "5.5.2", "Control character in command"};
static const struct lmtp_error err_utf8 = {500, "5.5.2", "Command is not valid UTF-8"};
static const struct lmtp_error err_no_args = {501, "5.5.4", "No arguments expected"};
static const struct lmtp_error err_domain = {501, "5.5.4", "Domain expected"};
static const struct lmtp_error err_arg = {501, "5.5.4", "Argument expected"};
static const struct lmtp_error err_from = {501, "5.5.4", "Expected FROM:<address>"};
static const struct lmtp_error err_to = {501, "5.5.4", "Expected TO:<address>"};
static const struct lmtp_error err_sender = {501, "5.1.7", "Malformed sender address"};
static const struct lmtp_error err_recipient = {501, "5.1.3", "Malformed recipient address"};
static const struct lmtp_error err_param = {501, "5.5.4", "Malformed parameter"};
static const struct lmtp_error err_size = {501, "5.5.4", "Malformed SIZE"};
static const struct lmtp_error err_body = {501, "5.5.4", "Unknown BODY type"};
static const struct lmtp_error err_utf8_value = {501, "5.5.4", "SMTPUTF8 takes no value"};
static const struct lmtp_error err_mailbox = {501, "5.5.4", "Malformed XMAILBOX"};
static const struct lmtp_error err_bdat = {501, "5.5.4", "Expected BDAT size [LAST]"};
static const struct lmtp_error err_many = {501, "5.5.4", "Too many parameters"};
static const struct lmtp_error err_memory = {452, "4.3.1", "Command needs too much memory"};

enum { PARAMS_MAX = 64 };

struct lmtp_parse {
    struct span rest; /* of the line */
    struct arena *a;
    struct lmtp_error *err;
};

static int fail(struct lmtp_parse *p, const struct lmtp_error *error)
{
    *p->err = *error;
    return error == &err_memory ? ERR_LIMIT : ERR_INVALID;
}

/* ---- addresses (RFC 5321 4.1.2, RFC 6531 3.3) ---- */

static bool is_atext(unsigned char c)
{
    return c >= 0x80 || ascii_is_alpha(c) || ascii_is_digit(c) ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Dots are not counted: "a..b" and "a." exist, and the client has accepted them already. */
static bool take_dot_string(struct span *s, struct span *ret)
{
    size_t n = 0;
    while (n < s->n && (is_atext((unsigned char)s->p[n]) || s->p[n] == '.'))
        n++;
    *ret = span_head(*s, n);
    *s = span_skip(*s, n);
    return n > 0;
}

/* Behind the opening quote. False if malformed or the arena is spent. */
static bool take_quoted(struct span *s, struct arena *a, struct span *ret)
{
    size_t close = 0, n = 0;
    while (close < s->n && s->p[close] != '"')
        close += s->p[close] == '\\' ? 2 : 1;
    if (close >= s->n)
        return false;
    char *to = arena_alloc(a, close + 1);
    if (!to)
        return false;
    for (size_t i = 0; i < close; i++) {
        i += s->p[i] == '\\';
        to[n++] = s->p[i];
    }
    *ret = span_make(to, n);
    *s = span_skip(*s, close + 1);
    return true;
}

static bool take_domain(struct span *s, struct span *ret)
{
    size_t n = 0;
    if (s->n && s->p[0] == '[') {
        size_t close = span_find_byte(*s, ']');
        n = close == SPAN_NPOS ? 0 : close + 1;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)s->p[i] <= ' ' || s->p[i] == '>' || s->p[i] == '<')
                return false;
        if (n < 3)
            return false;
    } else {
        while (n < s->n &&
               ((unsigned char)s->p[n] >= 0x80 || ascii_is_alpha((unsigned char)s->p[n]) ||
                ascii_is_digit((unsigned char)s->p[n]) || s->p[n] == '-' || s->p[n] == '.' ||
                s->p[n] == '_'))
            n++;
    }
    *ret = span_head(*s, n);
    *s = span_skip(*s, n);
    return n > 0;
}

/* local-part ["@" domain] at the front of *s. */
static int take_address(struct span *s, struct arena *a, struct lmtp_path *ret)
{
    struct lmtp_path path = {.text = *s};
    bool quoted = s->n && s->p[0] == '"';
    if (quoted)
        *s = span_skip(*s, 1);
    bool good = quoted ? take_quoted(s, a, &path.local) : take_dot_string(s, &path.local);
    if (!good)
        return a->spent ? ERR_LIMIT : ERR_INVALID;
    if (s->n && s->p[0] == '@') {
        *s = span_skip(*s, 1);
        if (!take_domain(s, &path.domain))
            return ERR_INVALID;
    }
    path.text.n -= s->n;
    for (size_t i = 0; i < path.text.n; i++)
        path.eightbit = path.eightbit || ((unsigned char)path.text.p[i] & 0x80);
    if (path.eightbit && !utf8_valid(path.text))
        return ERR_INVALID;
    *ret = path;
    return 0;
}

int lmtp_address_parse(struct span s, struct arena *a, struct lmtp_path *ret)
{
    struct lmtp_path path;
    int rc = take_address(&s, a, &path);
    if (rc == 0 && s.n)
        rc = ERR_INVALID;
    if (rc == 0)
        *ret = path;
    return rc;
}

/* A-d-l ":" ("@one,@two:"), which RFC 5321 says to accept and ignore. */
static void skip_source_route(struct span *s)
{
    size_t colon = s->n && s->p[0] == '@' ? span_find_byte(*s, ':') : SPAN_NPOS;
    size_t end = span_find_byte(*s, '>');
    if (colon != SPAN_NPOS && colon < end)
        *s = span_skip(*s, colon + 1);
}

/* "<" path ">" */
static int take_path(struct span *s, struct arena *a, struct lmtp_path *ret)
{
    if (s->n < 2 || s->p[0] != '<')
        return ERR_INVALID;
    *s = span_skip(*s, 1);
    struct lmtp_path path = {.null = s->p[0] == '>'};
    if (!path.null) {
        skip_source_route(s);
        int rc = take_address(s, a, &path);
        if (rc)
            return rc;
    }
    if (s->n == 0 || s->p[0] != '>')
        return ERR_INVALID;
    *s = span_skip(*s, 1);
    *ret = path;
    return 0;
}

/* ---- parameters ---- */

/* esmtp-keyword ["=" esmtp-value] (RFC 5321 4.1.2; values may be UTF-8, RFC 6531) */
static bool split_param(struct span s, struct lmtp_param *ret)
{
    struct lmtp_param param = {.name = s};
    size_t eq = span_find_byte(s, '=');
    if (eq != SPAN_NPOS) {
        param.name = span_head(s, eq);
        param.value = span_skip(s, eq + 1);
        param.has_value = true;
        if (param.value.n == 0)
            return false;
    }
    for (size_t i = 0; i < param.name.n; i++) {
        unsigned char c = (unsigned char)param.name.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (c != '-' || i == 0))
            return false;
    }
    *ret = param;
    return param.name.n > 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const struct lmtp_error *take_body(struct span value, struct lmtp_command *c)
{
    if (span_ieq(value, SPAN("7BIT")))
        c->body = LMTP_BODY_7BIT;
    else if (span_ieq(value, SPAN("8BITMIME")))
        c->body = LMTP_BODY_8BITMIME;
    else if (span_ieq(value, SPAN("BINARYMIME")))
        c->body = LMTP_BODY_BINARYMIME;
    else
        return &err_body;
    return NULL;
}

/* One of those this parser understands. *ret_known false: it is not. */
static const struct lmtp_error *take_known(const struct lmtp_param *param, struct lmtp_command *c,
                                           bool *ret_known)
{
    *ret_known = true;
    if (span_ieq(param->name, SPAN("SIZE"))) {
        c->has_size = span_to_u64(param->value, INT64_MAX, &c->size);
        return c->has_size ? NULL : &err_size;
    }
    if (span_ieq(param->name, SPAN("BODY")))
        return take_body(param->value, c);
    if (span_ieq(param->name, SPAN("SMTPUTF8"))) {
        c->smtputf8 = true;
        return param->has_value ? &err_utf8_value : NULL;
    }
    *ret_known = false;
    return NULL;
}

/* xtext (RFC 3461 section 4) of UTF-8 without control characters. */
static const struct lmtp_error *take_mailbox(struct lmtp_parse *p, struct span value,
                                             struct lmtp_command *c)
{
    char *to = arena_alloc(p->a, value.n + 1);
    size_t n = 0;
    if (!to)
        return &err_memory;
    for (size_t i = 0; i < value.n; i++) {
        unsigned char byte = (unsigned char)value.p[i];
        if (byte == '+') {
            int high = i + 2 < value.n ? hex_digit(value.p[i + 1]) : -1;
            int low = i + 2 < value.n ? hex_digit(value.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return &err_mailbox;
            byte = (unsigned char)(high << 4 | low);
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f)
            return &err_mailbox;
        to[n++] = (char)byte;
    }
    c->mailbox = span_make(to, n);
    return n && utf8_valid(c->mailbox) ? NULL : &err_mailbox;
}

static int parse_params(struct lmtp_parse *p, struct lmtp_command *c)
{
    struct lmtp_param *params = NULL;
    struct span word;
    while (span_split(&p->rest, ' ', &word)) {
        struct lmtp_param param;
        bool known = false;
        if (word.n == 0)
            continue;
        if (!split_param(word, &param))
            return fail(p, &err_param);
        if (c->verb == LMTP_MAIL) {
            const struct lmtp_error *error = take_known(&param, c, &known);
            if (error)
                return fail(p, error);
        } else if (span_ieq(param.name, SPAN("XMAILBOX"))) {
            const struct lmtp_error *error = take_mailbox(p, param.value, c);
            if (error)
                return fail(p, error);
            known = true;
        }
        if (known)
            continue;
        if (c->n_params == PARAMS_MAX)
            return fail(p, &err_many);
        if (!params && !(params = arena_array(p->a, PARAMS_MAX, sizeof(*params))))
            return fail(p, &err_memory);
        params[c->n_params++] = param;
        c->params = params;
    }
    return 0;
}

/* ---- commands ---- */

static int parse_path_command(struct lmtp_parse *p, struct lmtp_command *c)
{
    bool mail = c->verb == LMTP_MAIL;
    struct span word = mail ? SPAN("FROM:") : SPAN("TO:");
    if (!span_istarts(p->rest, word))
        return fail(p, mail ? &err_from : &err_to);
    p->rest = span_skip(p->rest, word.n);
    while (p->rest.n && p->rest.p[0] == ' ') /* "FROM: <a@b>" is common */
        p->rest = span_skip(p->rest, 1);
    int rc = take_path(&p->rest, p->a, &c->path);
    if (rc == ERR_LIMIT)
        return fail(p, &err_memory);
    if (rc || (p->rest.n && p->rest.p[0] != ' '))
        return fail(p, mail ? &err_sender : &err_recipient);
    if (c->path.null && !mail)
        return fail(p, &err_recipient);
    return parse_params(p, c);
}

/* RFC 3030: "BDAT" SP chunk-size [SP "LAST"] */
static int parse_bdat(struct lmtp_parse *p, struct lmtp_command *c)
{
    struct span size;
    if (!span_split(&p->rest, ' ', &size) || !span_to_u64(size, INT64_MAX, &c->size))
        return fail(p, &err_bdat);
    struct span last = span_trim(p->rest);
    c->has_size = true;
    c->last = span_ieq(last, SPAN("LAST"));
    return last.n && !c->last ? fail(p, &err_bdat) : 0;
}

enum arguments { ARGS_NONE, ARGS_DOMAIN, ARGS_TEXT, ARGS_OPTIONAL, ARGS_PATH, ARGS_BDAT };

static const struct {
    char name[12];
    enum lmtp_verb verb;
    enum arguments arguments;
} verbs[] = {
    {"LHLO", LMTP_LHLO, ARGS_DOMAIN},       {"MAIL", LMTP_MAIL, ARGS_PATH},
    {"RCPT", LMTP_RCPT, ARGS_PATH},         {"DATA", LMTP_DATA, ARGS_NONE},
    {"BDAT", LMTP_BDAT, ARGS_BDAT},         {"RSET", LMTP_RSET, ARGS_NONE},
    {"NOOP", LMTP_NOOP, ARGS_OPTIONAL},     {"QUIT", LMTP_QUIT, ARGS_NONE},
    {"VRFY", LMTP_VRFY, ARGS_TEXT},         {"HELP", LMTP_HELP, ARGS_OPTIONAL},
    {"STARTTLS", LMTP_STARTTLS, ARGS_NONE}, {"EHLO", LMTP_EHLO, ARGS_DOMAIN},
    {"HELO", LMTP_HELO, ARGS_DOMAIN},
};

static int parse_arguments(struct lmtp_parse *p, enum arguments arguments, struct lmtp_command *c)
{
    switch (arguments) {
    case ARGS_NONE:
        return p->rest.n ? fail(p, &err_no_args) : 0;
    case ARGS_DOMAIN:
        c->arg = p->rest;
        return c->arg.n ? 0 : fail(p, &err_domain);
    case ARGS_TEXT:
        c->arg = p->rest;
        return c->arg.n ? 0 : fail(p, &err_arg);
    case ARGS_PATH:
        return parse_path_command(p, c);
    case ARGS_BDAT:
        return parse_bdat(p, c);
    default:
        c->arg = p->rest;
        return 0;
    }
}

static const struct lmtp_error *line_problem(struct span line)
{
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return &err_control;
    }
    return utf8_valid(line) ? NULL : &err_utf8;
}

int lmtp_parse(struct span line, struct arena *a, struct lmtp_command *ret,
               struct lmtp_error *ret_error)
{
    struct lmtp_parse p = {span_trim(line), a, ret_error};
    struct span verb;
    *ret = (struct lmtp_command){.verb = LMTP_UNKNOWN};
    const struct lmtp_error *problem = line_problem(p.rest);
    if (problem)
        return fail(&p, problem);
    if (!span_split(&p.rest, ' ', &verb))
        return fail(&p, &err_unknown);
    p.rest = span_trim(p.rest);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (span_ieq(verb, span_str(verbs[i].name))) {
            ret->verb = verbs[i].verb;
            return parse_arguments(&p, verbs[i].arguments, ret);
        }
    }
    return fail(&p, &err_unknown);
}

/* ---- message data ---- */

enum data_state {
    DATA_LINE_START, /* zero: the data begins with a line */
    DATA_TEXT,
    DATA_CR,     /* in a line, the last byte was CR */
    DATA_DOT,    /* a dot at the start of a line, not passed on yet */
    DATA_DOT_CR, /* that dot and CR, not passed on yet */
    DATA_END,
};

/* Within a line: the piece up to the next line that begins with a dot, or to the end of the input.
 */
static size_t take_text(struct lmtp_data *d, struct span in)
{
    size_t i = 0;
    bool cr = d->state == DATA_CR;
    if (cr && in.p[0] != '\n')
        d->bare_cr = true;
    for (;;) {
        struct span rest = span_skip(in, i);
        size_t lf = span_find_byte(rest, '\n');
        struct span line = span_head(rest, lf == SPAN_NPOS ? rest.n : lf);
        if (line.n) {
            cr = line.p[line.n - 1] == '\r';
            if (span_find_byte(span_head(line, line.n - cr), '\r') != SPAN_NPOS)
                d->bare_cr = true;
        }
        if (lf == SPAN_NPOS) {
            d->state = cr ? DATA_CR : DATA_TEXT;
            return in.n;
        }
        i += lf + 1;
        if (!cr)
            d->bare_lf = true;
        d->state = cr ? DATA_LINE_START : DATA_TEXT;
        if (i == in.n || (cr && in.p[i] == '.'))
            return i;
        cr = false;
    }
}

size_t lmtp_data_next(struct lmtp_data *d, struct span in, struct span *ret_data, bool *ret_end)
{
    size_t used = 0;
    *ret_data = SPAN_EMPTY;
    *ret_end = d->state == DATA_END;
    while (used < in.n && d->state != DATA_END) {
        char c = in.p[used];
        if (d->state == DATA_LINE_START && c == '.') {
            d->state = DATA_DOT;
            used++;
        } else if (d->state == DATA_DOT && c == '\r') {
            d->state = DATA_DOT_CR;
            used++;
        } else if (d->state == DATA_DOT_CR && c == '\n') {
            d->state = DATA_END;
            *ret_end = true;
            used++;
        } else if (d->state == DATA_DOT_CR) {
            /* ".\rX": a stuffed line that goes on with a bare CR, which was held back. */
            d->state = DATA_CR;
            *ret_data = SPAN("\r");
            return used;
        } else {
            if (d->state == DATA_DOT || d->state == DATA_LINE_START)
                d->state = DATA_TEXT;
            struct span rest = span_skip(in, used);
            size_t n = take_text(d, rest);
            *ret_data = span_head(rest, n);
            return used + n;
        }
    }
    return used;
}
