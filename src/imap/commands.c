/* imap/commands.c: the table of commands: what each reads and changes, and how it runs.
 *
 * RFC 9051 section 5.5 is decided here, in one place: see conflict() in schedule.c. */
#include "imap/commands.h"

enum { READ_MAIL = RES_MESSAGES | RES_ADDED };

static const struct command_row {
    enum command_id id;
    task_step *step;
    uint32_t reads, writes, answers;
    bool barrier;
} rows[] = {
    {CMD_CAPABILITY, cmd_capability, .answers = ANSWER_CAPABILITY},
    {CMD_NOOP, cmd_noop},
    /* A checkpoint of what went before (RFC 3501 section 6.4.1); isync counts on its order. */
    {CMD_CHECK, cmd_noop, .barrier = true},
    {CMD_LOGOUT, cmd_logout, .barrier = true},
    {CMD_ID, cmd_id, .answers = ANSWER_ID},
    {CMD_LANGUAGE, cmd_language, .barrier = true},
    {CMD_COMPARATOR, cmd_comparator, .barrier = true},
    {CMD_ENABLE, cmd_enable, .barrier = true},
    {CMD_SELECT, cmd_select, .barrier = true},
    {CMD_EXAMINE, cmd_examine, .barrier = true},
    {CMD_CLOSE, cmd_close, .barrier = true},
    {CMD_UNSELECT, cmd_unselect, .barrier = true},
    {CMD_IDLE, cmd_idle, .barrier = true},
    {CMD_NOTIFY, cmd_notify, .barrier = true},
    {CMD_COMPRESS, cmd_compress, .barrier = true},
    {CMD_UNAUTHENTICATE, cmd_unauthenticate, .barrier = true},
    {CMD_UIDBATCHES, cmd_uidbatches, .reads = READ_MAIL},
    {CMD_CANCELUPDATE, cmd_cancel_update, .barrier = true},
    {CMD_NAMESPACE, cmd_namespace, .answers = ANSWER_NAMESPACE},
    {CMD_CREATE, cmd_create, .writes = RES_NAMES},
    {CMD_DELETE, cmd_delete, .writes = RES_NAMES | RES_COUNTS | RES_MESSAGES},
    {CMD_RENAME, cmd_rename, .writes = RES_NAMES | RES_COUNTS | RES_MESSAGES | RES_ADDED},
    {CMD_SUBSCRIBE, cmd_subscribe, .writes = RES_SUBSCRIPTIONS},
    {CMD_UNSUBSCRIBE, cmd_unsubscribe, .writes = RES_SUBSCRIPTIONS},
    {CMD_LIST, cmd_list, .reads = RES_NAMES | RES_SUBSCRIPTIONS | RES_COUNTS,
     .answers = ANSWER_LIST},
    {CMD_LSUB, cmd_lsub, .reads = RES_NAMES | RES_SUBSCRIPTIONS, .answers = ANSWER_LSUB},
    {CMD_STATUS, cmd_status, .reads = RES_NAMES | RES_COUNTS},
    {CMD_GETMETADATA, cmd_getmetadata, .reads = RES_NAMES | RES_METADATA,
     .answers = ANSWER_METADATA},
    {CMD_SETMETADATA, cmd_setmetadata, .reads = RES_NAMES, .writes = RES_NAMES | RES_METADATA},
    {CMD_GETQUOTA, cmd_getquota, .reads = RES_NAMES | RES_COUNTS | RES_ADDED | RES_MESSAGES,
     .answers = ANSWER_QUOTA},
    {CMD_GETQUOTAROOT, cmd_getquotaroot, .reads = RES_NAMES | RES_COUNTS | RES_ADDED | RES_MESSAGES,
     .answers = ANSWER_QUOTA},
    {CMD_SETQUOTA, cmd_setquota, .barrier = true, .answers = ANSWER_QUOTA},
    {CMD_GETACL, cmd_getacl, .reads = RES_NAMES},
    {CMD_MYRIGHTS, cmd_myrights, .reads = RES_NAMES},
    {CMD_LISTRIGHTS, cmd_listrights, .reads = RES_NAMES},
    {CMD_SETACL, cmd_setacl, .writes = RES_NAMES},
    {CMD_DELETEACL, cmd_deleteacl, .writes = RES_NAMES},
    {CMD_APPEND, cmd_append, .reads = RES_NAMES, .writes = RES_ADDED | RES_COUNTS},
    {CMD_GENURLAUTH, cmd_genurlauth, .reads = RES_NAMES},
    {CMD_URLFETCH, cmd_urlfetch, .reads = READ_MAIL | RES_NAMES},
    {CMD_RESETKEY, cmd_resetkey, .reads = RES_NAMES, .writes = RES_NAMES},
    {CMD_REPLACE, cmd_append, .reads = RES_NAMES | RES_FLAGS,
     .writes = RES_MESSAGES | RES_ADDED | RES_COUNTS},
    {CMD_EXPUNGE, cmd_expunge, .reads = RES_FLAGS, .writes = RES_MESSAGES | RES_COUNTS},
    {CMD_SEARCH, cmd_search, .reads = READ_MAIL},
    {CMD_SORT, cmd_search, .reads = READ_MAIL},
    {CMD_THREAD, cmd_search, .reads = READ_MAIL},
    {CMD_ESEARCH, cmd_esearch, .reads = READ_MAIL | RES_NAMES | RES_SUBSCRIPTIONS},
    {CMD_FETCH, cmd_fetch, .reads = READ_MAIL},
    {CMD_CONVERSIONS, cmd_conversions},
    {CMD_CONVERT, cmd_convert, .reads = READ_MAIL},
    {CMD_STORE, cmd_store, .reads = READ_MAIL, .writes = RES_FLAGS | RES_COUNTS},
    {CMD_COPY, cmd_copy, .reads = RES_MESSAGES | RES_FLAGS | RES_NAMES,
     .writes = RES_ADDED | RES_COUNTS},
    {CMD_MOVE, cmd_move, .reads = RES_FLAGS | RES_NAMES,
     .writes = RES_MESSAGES | RES_ADDED | RES_COUNTS},
};

static void set_effects(const struct seqset *set, bool uid, struct effects *e)
{
    e->uses_seq |= !uid && !set->saved;
    if (set->saved)
        e->reads |= RES_SAVED;
}

static void search_effects(const struct command *c, bool rev2, struct effects *e)
{
    const struct cmd_search *a = &c->search;
    e->no_expunge = e->uses_seq = !c->uid;
    e->quiet = true;
    for (uint32_t i = 0; i < a->n_nodes; i++) {
        const struct search_node *n = &a->nodes[i];
        if (n->key == KEY_UIDAFTER || n->key == KEY_UIDBEFORE)
            set_effects(&n->set, true, e);
        if (n->key == KEY_SEQ || n->key == KEY_UID)
            set_effects(&n->set, n->key == KEY_UID, e);
        if (n->key == KEY_FILTER) { /* whatever it says */
            e->uses_seq = true;
            e->reads |= RES_FLAGS | RES_SAVED | RES_METADATA;
        }
        if (n->key == KEY_FLAG || n->key == KEY_KEYWORD || n->key == KEY_MODSEQ)
            e->reads |= RES_FLAGS;
    }
    if (a->ret & SEARCH_RETURN_SAVE)
        e->writes |= RES_SAVED;
    if (c->id == CMD_ESEARCH) { /* section 2.1 of RFC 7377: what uses SEARCHRES is alone */
        e->barrier = ((e->reads | e->writes) & RES_SAVED) != 0;
    } else if (a->thread) {
        e->answers |= ANSWER_THREAD;
    } else if (a->sort) {
        if (!a->has_return)
            e->answers |= ANSWER_SORT;
    } else if (!a->has_return && !rev2) { /* ESEARCH tells its tag, SEARCH does not */
        e->answers |= ANSWER_SEARCH;
    }
}

static void fetch_effects(const struct command *c, struct effects *e)
{
    e->no_expunge = !c->uid;
    e->quiet = true;
    set_effects(&c->fetch.set, c->uid, e);
    if (c->fetch.atts & (FETCH_FLAGS | FETCH_MODSEQ))
        e->reads |= RES_FLAGS;
    if (c->fetch.sets_seen)
        e->writes |= RES_FLAGS | RES_COUNTS;
}

/* RFC 4469: parts of messages, in whatever mailbox. */
static void append_effects(const struct command *c, struct effects *e)
{
    for (unsigned i = 0; i < c->append.n; i++)
        if (c->append.messages[i].catenate)
            e->reads |= READ_MAIL;
    if (c->id == CMD_REPLACE)
        set_effects(&c->append.replaced, c->uid, e);
}

task_step *command_prepare(struct task *t, struct effects *ret)
{
    const struct command *c = t->command;
    const struct command_row *row = NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows) && !row; i++)
        if (rows[i].id == c->id)
            row = &rows[i];
    if (!row)
        return NULL;
    *ret = (struct effects){.reads = row->reads,
                            .writes = row->writes,
                            .answers = row->answers,
                            .barrier = row->barrier};
    if (c->id == CMD_SEARCH || c->id == CMD_SORT || c->id == CMD_THREAD || c->id == CMD_ESEARCH)
        search_effects(c, t->session->rev2, ret);
    else if (c->id == CMD_FETCH)
        fetch_effects(c, ret);
    else if (c->id == CMD_CONVERT) {
        ret->no_expunge = !c->uid; /* RFC 5259 section 6 */
        ret->quiet = true;
        set_effects(&c->convert.set, c->uid, ret);
    } else if (c->id == CMD_STORE) {
        ret->no_expunge = !c->uid;
        ret->quiet = true;
        set_effects(&c->store.set, c->uid, ret);
    } else if (c->id == CMD_APPEND || c->id == CMD_REPLACE)
        append_effects(c, ret);
    else if (c->id == CMD_COPY || c->id == CMD_MOVE)
        set_effects(&c->copy.set, c->uid, ret);
    else if (c->id == CMD_EXPUNGE && c->uid)
        set_effects(&c->expunge.set, true, ret);
    return row->step;
}
