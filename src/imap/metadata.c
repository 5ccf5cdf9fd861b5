/* imap/metadata.c: METADATA (RFC 5464), and /private/specialuse (RFC 6154 section 4).
 *
 * Entries are kept with the mailbox in its account; private ones have the user's name as owner.
 * What stands below "" is the user's own, in his account; shared entries of the server come from
 * the configuration (metadata.server), and cannot be set by clients. */
#include "imap/metadata.h"

#include "imap/commands.h"
#include "imap/filters.h"
#include "imap/list.h"
#include "imap/place.h"
#include "store/metadata.h"
#include "wire/write.h"

enum { RESPONSE_FULL = 64 * 1024, OWN_MAX = 8 };

/* Beside l, one of these is needed (section 3.3). */
enum { RIGHTS_METADATA = RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST };

/* A session that is told of changes. */
struct metadata {
    struct watch watch;
    struct session *session;
    bool dirty;
    uint64_t told;         /* the MODSEQ up to which it has been told everything */
    uint64_t own[OWN_MAX]; /* MODSEQs of its own changes, the newest ones */
    unsigned own_next;
};

/* --- names --- */

bool metadata_entry_name(struct task *t, struct span given, struct span *ret)
{
    struct span name = arena_copy(&t->arena, given);
    char *p = (char *)(uintptr_t)name.p; /* our own copy */
    if (t->arena.spent || name.n == 0 || name.n > METADATA_ENTRY_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c < ' ' || c >= 0x7f || c == '*' || c == '%')
            return false;
        if (c == '/' && (i + 1 == name.n || p[i + 1] == '/'))
            return false;
        p[i] = (char)ascii_lower(c);
    }
    *ret = name;
    return span_starts(name, SPAN("/shared")) || span_starts(name, SPAN("/private"));
}

static bool is_below(struct span name, struct span root)
{
    return name.n > root.n && span_starts(name, root) && name.p[root.n] == '/';
}

static bool is_private(struct span name)
{
    return span_eq(name, SPAN("/private")) || is_below(name, SPAN("/private"));
}

static struct span owner_of(const struct session *s, struct span name)
{
    return is_private(name) ? span_str(s->user) : SPAN_EMPTY;
}

/* --- entries that are not stored --- */

static const struct {
    uint32_t use;
    const char *name;
} uses[] = {
    {USE_ALL, "\\All"},   {USE_ARCHIVE, "\\Archive"}, {USE_DRAFTS, "\\Drafts"},
    {USE_JUNK, "\\Junk"}, {USE_FLAGGED, "\\Flagged"}, {USE_IMPORTANT, "\\Important"},
    {USE_SENT, "\\Sent"}, {USE_TRASH, "\\Trash"},
};

#define SPECIAL_USE SPAN("/private/specialuse")

static void put_uses(struct buf *b, uint32_t bits)
{
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (bits & uses[i].use)
            buf_printf(b, "%s%s", b->n ? " " : "", uses[i].name);
}

static bool parse_uses(struct span text, uint32_t *ret)
{
    struct span word;
    uint32_t bits = 0;
    while (span_split(&text, ' ', &word)) {
        size_t i = 0;
        while (i < ARRAY_LEN(uses) && !span_ieq(word, span_str(uses[i].name)))
            i++;
        if (i == ARRAY_LEN(uses))
            return false;
        bits |= uses[i].use;
    }
    *ret = bits;
    return true;
}

/* "entry=value" in the configuration. */
static bool server_entry(struct session *s, size_t i, struct span *ret_name, struct span *ret_value)
{
    const char *const *list = s->host->settings.server_metadata;
    const char *equals = list && list[i] ? strchr(list[i], '=') : NULL;
    if (!equals)
        return false;
    *ret_name = span_make(list[i], (size_t)(equals - list[i]));
    *ret_value = span_str(equals + 1);
    return true;
}

static bool server_find(struct session *s, struct span name, struct span *ret)
{
    struct span entry, value;
    for (size_t i = 0; server_entry(s, i, &entry, &value); i++) {
        if (span_ieq(entry, name)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

int metadata_of_server(struct session *s, struct snap *snap, struct span entry, struct span *ret)
{
    if (!is_private(entry))
        return server_find(s, entry, ret) ? 0 : ERR_NOT_FOUND;
    return snap_metadata(snap, 0, owner_of(s, entry), entry, ret);
}

/* --- responses --- */

/* What GETMETADATA collects for one mailbox. */
struct reply {
    struct session *session;
    struct snap *snap;
    struct buf *out;
    struct span prefix, name;        /* both empty: the server */
    bool foreign;                    /* another one's mailbox, whose special uses are not ours */
    const struct mailbox_info *info; /* NULL: the server */
    const struct cmd_metadata *command;
    bool open;
    size_t begun; /* in `out` */
    uint64_t biggest;
};

static void reply_end(struct reply *r)
{
    if (r->open)
        buf_put_lit(r->out, ")\r\n");
    r->open = false;
}

static void put_value(struct buf *b, struct span value, bool utf8)
{
    if (value.n && memchr(value.p, 0, value.n))
        write_literal8(b, value);
    else
        write_string(b, value, utf8);
}

/* value NULL: NIL. */
static void put_entry(struct reply *r, struct span name, const struct span *value)
{
    bool utf8 = session_utf8(r->session);
    if (value && r->command && r->command->has_max_size && value->n > r->command->max_size) {
        r->biggest = MAX(r->biggest, value->n);
        return;
    }
    if (r->open && r->out->n - r->begun > RESPONSE_FULL)
        reply_end(r);
    if (!r->open) {
        r->begun = r->out->n;
        buf_put_lit(r->out, "* METADATA ");
        if (r->info)
            put_mailbox_name(r->session, r->out, r->prefix, r->name);
        else
            buf_put_lit(r->out, "\"\"");
        buf_put_lit(r->out, " (");
    } else {
        buf_put_byte(r->out, ' ');
    }
    r->open = true;
    write_astring(r->out, name, false);
    buf_put_byte(r->out, ' ');
    if (value)
        put_value(r->out, *value, utf8);
    else
        buf_put_lit(r->out, "NIL");
}

/* The entry itself; NIL without a value. */
static int put_one(struct reply *r, struct span name)
{
    autobuf text = BUF_INIT(1024);
    struct span value;
    int rc = ERR_NOT_FOUND;
    if (!r->info) {
        rc = metadata_of_server(r->session, r->snap, name, &value);
    } else if (span_eq(name, SPECIAL_USE)) {
        put_uses(&text, r->foreign ? 0 : r->info->special_use);
        value = buf_span(&text);
        rc = text.n ? 0 : ERR_NOT_FOUND;
    } else {
        rc = snap_metadata(r->snap, r->info->id, owner_of(r->session, name), name, &value);
    }
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (rc == 0 || !r->command || r->command->depth == METADATA_DEPTH_0)
        put_entry(r, name, rc ? NULL : &value);
    return 0;
}

static bool deep_enough(const struct reply *r, struct span name, struct span root)
{
    struct span rest = span_skip(name, root.n + 1);
    return r->command->depth == METADATA_DEPTH_INFINITY || !memchr(rest.p, '/', rest.n);
}

static void put_server_below(struct reply *r, struct span root)
{
    struct span name, value;
    for (size_t i = 0; server_entry(r->session, i, &name, &value); i++)
        if (is_below(name, root) && deep_enough(r, name, root))
            put_entry(r, name, &value);
}

static int put_below(struct reply *r, struct span root)
{
    autobuf text = BUF_INIT(1024);
    struct metadata_entry e = {.name = root};
    struct span value;
    int rc;
    if (!r->info && !is_private(root))
        put_server_below(r, root);
    if (r->info && !r->foreign && is_below(SPECIAL_USE, root) && r->info->special_use) {
        put_uses(&text, r->info->special_use);
        value = buf_span(&text);
        put_entry(r, SPECIAL_USE, &value);
    }
    while ((rc = snap_metadata_seek(r->snap, r->info ? r->info->id : 0, owner_of(r->session, root),
                                    e.name, true, &e)) == 0 &&
           span_starts(e.name, root))
        if (!e.removed && is_below(e.name, root) && deep_enough(r, e.name, root))
            put_entry(r, e.name, &e.value);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int metadata_put_entries(struct session *s, struct snap *snap, struct buf *b,
                         const struct mailbox_info *info, struct span prefix, struct span name,
                         const struct span *entries, unsigned n)
{
    struct place place = {.own = prefix.n == 0};
    struct reply r = {.session = s,
                      .snap = snap,
                      .out = b,
                      .prefix = prefix,
                      .name = name,
                      .foreign = !place.own,
                      .info = info};
    uint32_t rights;
    int rc = place_rights(s, snap, &place, info->id, &rights);
    if (rc || !(rights & RIGHTS_METADATA))
        return rc;
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = put_one(&r, entries[i]);
    reply_end(&r);
    return rc;
}

/* --- GETMETADATA --- */

struct get_state {
    struct place place; /* account NULL: the server */
    struct span *entries;
    unsigned at;
    uint64_t biggest;
};

static int find_mailbox(struct session *s, struct snap *snap, const struct place *place,
                        struct mailbox_info *ret)
{
    uint32_t rights = 0;
    int rc = place_mailbox(s, snap, place, 0, ret, &rights);
    return rc == 0 && !(rights & RIGHTS_METADATA) ? ERR_DENIED : rc;
}

/* False: return *ret_step. */
static bool get_begin(struct task *t, enum step *ret_step)
{
    const struct cmd_metadata *a = &t->command->metadata;
    struct place place = {.account = NULL};
    *ret_step = STEP_DONE;
    if (a->name.n && !task_place(t, a->name, false, &place, ret_step))
        return false;
    struct get_state *st = arena_new(&t->arena, struct get_state);
    if (st)
        st->entries = arena_array(&t->arena, a->n, sizeof(*st->entries));
    if (!st || !st->entries) {
        task_no(t, "LIMIT", "The command needs too much memory");
        return false;
    }
    t->data = st;
    st->place = place;
    for (unsigned i = 0; i < a->n; i++) {
        if (!metadata_entry_name(t, a->entries[i], &st->entries[i])) {
            task_bad(t, "An entry begins with /shared or /private");
            return false;
        }
    }
    return true;
}

static enum step get_end(struct task *t)
{
    const struct get_state *st = t->data;
    autobuf code = BUF_INIT(128);
    if (!st->biggest)
        return task_ok(t, NULL, "GETMETADATA completed");
    buf_printf(&code, "METADATA LONGENTRIES %llu", (unsigned long long)st->biggest);
    return task_ok(t, code.p, "GETMETADATA completed");
}

enum step cmd_getmetadata(struct task *t)
{
    struct session *s = t->session;
    const struct cmd_metadata *a = &t->command->metadata;
    autosnap *snap = NULL;
    struct mailbox_info info;
    enum step step;
    if (!t->data && !get_begin(t, &step))
        return step;
    struct get_state *st = t->data;
    int rc = snap_begin(st->place.account ? st->place.account : s->account, &snap);
    if (rc == 0 && st->place.account)
        rc = find_mailbox(s, snap, &st->place, &info);
    if (rc == ERR_DENIED)
        return task_no_permission(t);
    if (rc)
        return task_store_failed(t, rc, false);
    struct reply r = {.session = s,
                      .snap = snap,
                      .prefix = st->place.prefix,
                      .name = st->place.name,
                      .foreign = st->place.account && !st->place.own,
                      .info = st->place.account ? &info : NULL,
                      .command = a,
                      .biggest = st->biggest};
    r.out = respond_begin(s);
    size_t begun = r.out->n;
    for (; rc == 0 && st->at < a->n && r.out->n - begun < RESPONSE_FULL; st->at++) {
        rc = put_one(&r, st->entries[st->at]);
        if (rc == 0 && a->depth != METADATA_DEPTH_0)
            rc = put_below(&r, st->entries[st->at]);
    }
    reply_end(&r);
    respond_end(s);
    st->biggest = r.biggest;
    if (rc)
        return task_store_failed(t, rc, false);
    return st->at < a->n ? STEP_AGAIN : get_end(t);
}

/* --- SETMETADATA --- */

/* Special uses are an attribute of the mailbox. */
static bool take_special_use(struct task *t, const struct metadata_value *v)
{
    t->request.sets_special_use = true;
    t->request.special_use = 0;
    if (t->request.name.n && (v->nil || parse_uses(v->value, &t->request.special_use)))
        return true;
    task_no(t, "CANNOT", "That is no special use of a mailbox");
    return false;
}

static bool take_value(struct task *t, const struct metadata_value *v, struct metadata_change *c)
{
    struct session *s = t->session;
    autobuf code = BUF_INIT(128);
    bool server = t->request.name.n == 0;
    if (!metadata_entry_name(t, v->entry, &c->name) ||
        (!is_below(c->name, SPAN("/private")) && !is_below(c->name, SPAN("/shared")))) {
        task_bad(t, "An entry begins with /shared/ or /private/");
        return false;
    }
    if (v->value.n > s->host->settings.metadata_value_max) {
        buf_printf(&code, "METADATA MAXSIZE %zu", s->host->settings.metadata_value_max);
        task_no(t, code.p, "The value is too long");
        return false;
    }
    if (server && !is_private(c->name)) {
        task_no(t, "NOPERM", "Shared entries of the server are its administrator's");
        return false;
    }
    if (server && !v->nil && !filter_value_allowed(t, c->name, v->value))
        return false;
    c->owner = owner_of(s, c->name);
    c->value = v->value;
    c->remove = v->nil;
    return true;
}

/* Where it is set, and whether this user may. False: return *ret_step. */
static bool set_place(struct task *t, bool *ret_own, enum step *ret_step)
{
    struct place place;
    struct mailbox_info info;
    autosnap *snap = NULL;
    *ret_own = true;
    if (t->command->metadata.name.n == 0)
        return true;
    if (!task_place(t, t->command->metadata.name, false, &place, ret_step))
        return false;
    int rc = snap_begin(place.account, &snap);
    if (rc == 0)
        rc = find_mailbox(t->session, snap, &place, &info);
    if (rc) {
        *ret_step = rc == ERR_DENIED ? task_no_permission(t) : task_store_failed(t, rc, false);
        return false;
    }
    task_set_target(t, place.account);
    t->request.name = place.name;
    *ret_own = place.own;
    return true;
}

static enum step set_begin(struct task *t)
{
    const struct cmd_metadata *a = &t->command->metadata;
    struct metadata_change *list = arena_array(&t->arena, a->n, sizeof(*list));
    if (!list)
        return task_no(t, "LIMIT", "The command needs too much memory");
    enum step step;
    bool own;
    request_init(&t->request, REQUEST_METADATA, NULL, NULL);
    if (!set_place(t, &own, &step))
        return step;
    for (unsigned i = 0; i < a->n; i++) {
        struct metadata_change *c = &list[t->request.entry_count];
        if (!take_value(t, &a->values[i], c))
            return STEP_DONE;
        if (span_eq(c->name, SPECIAL_USE)) {
            if (!own)
                return task_no(t, "CANNOT", "Special uses are for mailboxes of one's own");
            if (!take_special_use(t, &a->values[i]))
                return STEP_DONE;
            continue;
        }
        t->request.entry_count++;
    }
    t->request.entries = list;
    t->request.entries_max = t->session->host->settings.metadata_entries_max;
    return task_request(t);
}

enum step cmd_setmetadata(struct task *t)
{
    struct metadata *m = t->session->metadata;
    if (!t->submitted)
        return set_begin(t);
    int error = t->request.result.error;
    if (error == ERR_LIMIT)
        return task_no(t, "METADATA TOOMANY", "There are too many entries");
    if (error)
        return task_store_failed(t, error, false);
    if (m && t->request.result.modseq)
        m->own[m->own_next++ % OWN_MAX] = t->request.result.modseq;
    return task_ok(t, NULL, "SETMETADATA completed");
}

/* --- changes by others --- */

static void on_change(struct watch *w)
{
    struct metadata *m = container_of(w, struct metadata, watch);
    struct task *reading = m->session->reading;
    m->dirty = true;
    if (reading && reading->step == cmd_idle)
        task_wake(reading);
}

void metadata_enable(struct session *s)
{
    autosnap *snap = NULL;
    if (s->metadata)
        return;
    s->metadata = xnew(struct metadata);
    s->metadata->session = s;
    if (snap_begin(s->account, &snap) == 0)
        s->metadata->told = snap_metadata_modseq(snap);
    watch_add(&s->metadata->watch, s->account, 0, 0, on_change);
}

void metadata_free(struct session *s)
{
    if (!s->metadata)
        return;
    watch_remove(&s->metadata->watch);
    free(take_ptr(s->metadata));
}

static bool is_own(const struct metadata *m, uint64_t modseq)
{
    for (size_t i = 0; i < OWN_MAX; i++)
        if (m->own[i] == modseq)
            return true;
    return false;
}

/* "* METADATA name entry entry": no values (section 4.4.2). */
static int put_changed(struct session *s, struct snap *snap, const struct mailbox_info *info)
{
    const struct metadata *m = s->metadata;
    const struct span owners[] = {SPAN_EMPTY, span_str(s->user)};
    autobuf line = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
        struct metadata_entry e = {.name = SPAN_EMPTY};
        int rc;
        while ((rc = snap_metadata_seek(snap, info ? info->id : 0, owners[i], e.name, e.name.n > 0,
                                        &e)) == 0) {
            if (e.modseq <= m->told || is_own(m, e.modseq))
                continue;
            buf_put_byte(&line, ' ');
            write_astring(&line, e.name, false);
        }
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    if (line.n == 0)
        return 0;
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* METADATA ");
    if (info)
        put_mailbox_name(s, b, SPAN_EMPTY, info->name);
    else
        buf_put_lit(b, "\"\"");
    buf_put_span(b, buf_span(&line));
    buf_put_lit(b, "\r\n");
    respond_end(s);
    return 0;
}

bool metadata_announce(struct session *s)
{
    struct metadata *m = s->metadata;
    autosnap *snap = NULL;
    struct mailbox_info info;
    if (!m || !m->dirty)
        return true;
    if (session_full(s))
        return false;
    int rc = snap_begin(s->account, &snap);
    uint64_t newest = rc == 0 ? snap_metadata_modseq(snap) : 0;
    if (rc == 0 && newest > m->told && s->notify) {
        m->told = newest; /* RFC 5465 section 3.1: from now on NOTIFY decides */
    } else if (rc == 0 && newest > m->told) {
        rc = put_changed(s, snap, NULL);
        for (uint32_t from = 1;
             rc == 0 && snap_metadata_changed(snap, from, m->told, &info) == 0;) {
            rc = put_changed(s, snap, &info);
            if (info.id == UINT32_MAX)
                break;
            from = info.id + 1;
        }
        m->told = newest;
    }
    m->dirty = false; /* what cannot be read now is told with the next change */
    return true;
}
