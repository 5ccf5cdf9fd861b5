/* wire/command.c: the table of commands, and from a text to a struct command. */
#include "wire/command.h"

#include "wire/parse_int.h"

const struct parse_limits parse_limits_default = {
    .max_depth = 50,
    .max_args = 1000,
    .max_search_nodes = 1000,
    .max_flags = 200,
    .max_sections = 200,
    .max_parts = 100,
    .max_ranges = 20000,
    .max_messages = 10000,
};

enum { AUTH_STATES = CMD_IN_AUTH | CMD_IN_SELECTED };

/* Indexed by enum command_id. */
static const struct command_desc commands[CMD_COUNT] = {
#define ROW(name, states, forms, parse) [CMD_##name] = {#name, CMD_##name, states, forms, parse}
    ROW(CAPABILITY, CMD_IN_ANY, CMD_PLAIN, parse_no_args),
    ROW(NOOP, CMD_IN_ANY, CMD_PLAIN, parse_no_args),
    ROW(LOGOUT, CMD_IN_ANY, CMD_PLAIN, parse_no_args),
    ROW(ID, CMD_IN_ANY, CMD_PLAIN, parse_id),
    ROW(LANGUAGE, CMD_IN_ANY, CMD_PLAIN, parse_language),

    ROW(STARTTLS, CMD_IN_NOT_AUTH, CMD_PLAIN, parse_no_args),
    ROW(AUTHENTICATE, CMD_IN_NOT_AUTH, CMD_PLAIN, parse_authenticate),
    ROW(LOGIN, CMD_IN_NOT_AUTH, CMD_PLAIN, parse_login),

    ROW(ENABLE, AUTH_STATES, CMD_PLAIN, parse_enable),
    ROW(SELECT, AUTH_STATES, CMD_PLAIN, parse_select),
    ROW(EXAMINE, AUTH_STATES, CMD_PLAIN, parse_select),
    ROW(CREATE, AUTH_STATES, CMD_PLAIN, parse_create),
    ROW(DELETE, AUTH_STATES, CMD_PLAIN, parse_one_mailbox),
    ROW(RENAME, AUTH_STATES, CMD_PLAIN, parse_rename),
    ROW(SUBSCRIBE, AUTH_STATES, CMD_PLAIN, parse_one_mailbox),
    ROW(UNSUBSCRIBE, AUTH_STATES, CMD_PLAIN, parse_one_mailbox),
    ROW(LIST, AUTH_STATES, CMD_PLAIN, parse_list),
    ROW(LSUB, AUTH_STATES, CMD_PLAIN, parse_lsub),
    ROW(NAMESPACE, AUTH_STATES, CMD_PLAIN, parse_no_args),
    ROW(STATUS, AUTH_STATES, CMD_PLAIN, parse_status),
    ROW(APPEND, AUTH_STATES, CMD_PLAIN, parse_append),
    ROW(GETQUOTA, AUTH_STATES, CMD_PLAIN, parse_getquota),
    ROW(GETQUOTAROOT, AUTH_STATES, CMD_PLAIN, parse_one_mailbox),
    ROW(SETQUOTA, AUTH_STATES, CMD_PLAIN, parse_setquota),
    ROW(GENURLAUTH, AUTH_STATES, CMD_PLAIN, parse_genurlauth),
    ROW(URLFETCH, AUTH_STATES, CMD_PLAIN, parse_urlfetch),
    ROW(RESETKEY, AUTH_STATES, CMD_PLAIN, parse_resetkey),
    ROW(GETMETADATA, AUTH_STATES, CMD_PLAIN, parse_getmetadata),
    ROW(SETMETADATA, AUTH_STATES, CMD_PLAIN, parse_setmetadata),
    ROW(GETACL, AUTH_STATES, CMD_PLAIN, parse_one_mailbox),
    ROW(MYRIGHTS, AUTH_STATES, CMD_PLAIN, parse_one_mailbox),
    ROW(LISTRIGHTS, AUTH_STATES, CMD_PLAIN, parse_acl_who),
    ROW(SETACL, AUTH_STATES, CMD_PLAIN, parse_setacl),
    ROW(DELETEACL, AUTH_STATES, CMD_PLAIN, parse_acl_who),
    ROW(IDLE, AUTH_STATES, CMD_PLAIN, parse_no_args),
    ROW(COMPRESS, AUTH_STATES, CMD_PLAIN, parse_compress),
    ROW(UNAUTHENTICATE, AUTH_STATES, CMD_PLAIN, parse_no_args),

    ROW(CHECK, CMD_IN_SELECTED, CMD_PLAIN, parse_no_args),
    ROW(CLOSE, CMD_IN_SELECTED, CMD_PLAIN, parse_no_args),
    ROW(UNSELECT, CMD_IN_SELECTED, CMD_PLAIN, parse_no_args),
    ROW(UIDBATCHES, CMD_IN_SELECTED, CMD_PLAIN, parse_uidbatches),
    ROW(EXPUNGE, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_expunge),
    ROW(SEARCH, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_search),
    ROW(SORT, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_sort),
    ROW(THREAD, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_thread),
    ROW(FETCH, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_fetch),
    ROW(STORE, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_store),
    ROW(COPY, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_copy),
    ROW(MOVE, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_copy),
    ROW(REPLACE, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_replace),
    ROW(NOTIFY, AUTH_STATES, CMD_PLAIN, parse_notify),
    ROW(ESEARCH, AUTH_STATES, CMD_PLAIN | CMD_UID, parse_esearch),
    ROW(COMPARATOR, AUTH_STATES, CMD_PLAIN, parse_comparator),
    ROW(CANCELUPDATE, CMD_IN_SELECTED, CMD_PLAIN, parse_cancel_update),
    ROW(CONVERSIONS, AUTH_STATES, CMD_PLAIN, parse_conversions),
    ROW(CONVERT, CMD_IN_SELECTED, CMD_PLAIN | CMD_UID, parse_convert),
#undef ROW
};

const struct command_desc *command_desc(enum command_id id)
{
    invariant(id < CMD_COUNT);
    return &commands[id];
}

const struct command_desc *command_lookup(struct span name)
{
    int i = KEYWORD_FIND(commands, name);
    return i > 0 ? &commands[i] : NULL;
}

int parse_no_args(struct parse *p, struct command *c)
{
    if (!parse_at_trailing(p))
        return parse_fail(p, ERR_INVALID, "%s takes no arguments", c->desc->name);
    return 0;
}

/* ---- tag, name, UID ---- */

static int parse_tag(struct parse *p, struct span *ret)
{
    struct span tag = parse_run(p, CH_TAG);
    if (tag.n == 0 || !parse_looking_at(p, ' ')) {
        if (tag.n && parse_at_end(p))
            return parse_fail(p, ERR_INVALID, "expected a command after the tag \"%s\"",
                              parse_excerpt(tag).text);
        return parse_fail(p, ERR_INVALID, "a command begins with a tag and a space");
    }
    p->p++;
    p->err->tag = tag;
    *ret = tag;
    return 0;
}

/* Command names are letters; whatever stands there up to the next space is quoted back. */
static struct span take_word(struct parse *p)
{
    const char *start = p->p;
    while (p->p < p->end && *p->p != ' ' && *p->p != '\r')
        p->p++;
    return span_make(start, (size_t)(p->p - start));
}

static int parse_uid_name(struct parse *p, struct command *c)
{
    p->after = "UID";
    int rc =
        parse_sp(p, "CONVERT, COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH, SORT, STORE or THREAD");
    if (rc)
        return rc;
    struct span name = take_word(p);
    c->desc = command_lookup(name);
    if (!c->desc || !(c->desc->forms & CMD_UID))
        return parse_fail(p, ERR_INVALID, "unknown command \"UID %s\"", parse_excerpt(name).text);
    c->uid = true;
    return 0;
}

static int parse_name(struct parse *p, struct command *c)
{
    struct span name = take_word(p);
    if (name.n == 0)
        return parse_fail(p, ERR_INVALID, "expected a command after the tag and one space");
    c->desc = command_lookup(name);
    if (!c->desc && span_ieq(name, SPAN("UID")))
        return parse_uid_name(p, c);
    if (!c->desc || !(c->desc->forms & CMD_PLAIN))
        return parse_fail(p, ERR_INVALID, "unknown command \"%s\"", parse_excerpt(name).text);
    return 0;
}

int command_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                  struct command **ret, struct parse_error *ret_error)
{
    struct parse p = {text.p,    text.p + text.n, a, limits ? limits : &parse_limits_default,
                      ret_error, "the tag",       ""};
    ret_error->tag = SPAN_EMPTY;
    ret_error->id = CMD_NONE;
    ret_error->reason[0] = '\0';
    struct command *c = arena_new(a, struct command);
    if (!c)
        return parse_spent(&p);
    int rc = parse_tag(&p, &c->tag);
    if (rc)
        return rc;
    rc = parse_name(&p, c);
    if (rc)
        return rc;
    c->id = ret_error->id = c->desc->id;
    p.after = p.command = c->desc->name;
    rc = c->desc->parse(&p, c);
    if (rc == 0)
        rc = parse_end(&p);
    if (rc == 0)
        *ret = c;
    return rc;
}

int command_parse_copy(struct span text, const struct parse_limits *limits, struct arena *a,
                       struct command **ret, struct parse_error *ret_error)
{
    struct span copy = arena_copy(a, text);
    if (a->spent) {
        struct parse p = {.err = ret_error};
        ret_error->tag = SPAN_EMPTY;
        ret_error->id = CMD_NONE;
        return parse_spent(&p);
    }
    return command_parse(copy, limits, a, ret, ret_error);
}
