#include "imap/thread.h"

#include "base/bytes.h"
#include "base/map.h"
#include "base/random.h"
#include "imap/forest.h"
#include "message/derived.h"

enum { STEP_WORK = 64 * 1024 };

#define NONE UINT32_MAX

/* A message, or a Message-ID that is only referred to (a dummy). */
struct node {
    uint64_t id;     /* hash of the Message-ID; 0: none, or another message has it */
    uint32_t parent; /* while linking: of the references; then: among what is shown */
    uint32_t message;
    uint32_t first, last, next; /* children and siblings, in order */
    bool has_children;          /* while linking */
    bool listed;                /* stands in `roots` */
};

struct message {
    int64_t sent, arrived;
    uint32_t number; /* what is answered: UID or sequence number */
    uint32_t node;
    uint32_t keys; /* in the pool: references, then the base subject */
    uint16_t n_references, n_subject;
    bool reply;
};

enum phase { LINKING, SHAPING, ORDERING, PLACING, MERGING, REPLACING, NEWEST, SORTING, DONE };

struct thread {
    enum thread_algorithm algorithm;
    bool uid;
    size_t max;
    struct message *messages;
    size_t count, cap;
    struct node *nodes;
    size_t n_nodes, cap_nodes;
    struct forest forest; /* while linking: the same trees as in nodes */
    struct buf pool;
    uint32_t *table; /* node by Message-ID: open addressing, a power of two */
    size_t table_size, table_used;
    uint64_t seed;
    enum phase phase;
    size_t at;
    /* Messages by sent date, then the roots of the threads: merged bottom up as in sort.c. */
    uint32_t *order, *other;
    size_t width;
    uint32_t *roots;
    size_t n_roots;
    int64_t *newest; /* REFS: of a root */
    uint32_t *subjects;
    size_t n_subjects;
    /* Writing. */
    size_t out_root;
    uint32_t out_node; /* NONE: the next root begins */
    bool rising;       /* out_node and what is below it is written */
    bool begun;
};

struct thread *thread_new(enum thread_algorithm algorithm, bool uid, size_t max)
{
    struct thread *t = xnew(struct thread);
    t->algorithm = algorithm;
    t->uid = uid;
    t->max = max;
    t->seed = random_u64() | 1;
    t->out_node = NONE;
    buf_init(&t->pool, MIN(max / 2, UINT32_MAX));
    return t;
}

void thread_free(struct thread *t)
{
    if (!t)
        return;
    free(t->messages);
    free(t->nodes);
    forest_done(&t->forest);
    free(t->table);
    free(t->order);
    free(t->other);
    free(t->roots);
    free(t->newest);
    free(t->subjects);
    buf_done(&t->pool);
    free(t);
}

int thread_add(struct thread *t, const struct shown *m, struct span derived)
{
    struct derived_sort d = {0};
    struct derived_info info;
    if (t->count == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 1024;
        if (cap > t->max / 4 / sizeof(*t->messages))
            return ERR_LIMIT;
        t->messages = xrealloc_array(t->messages, cap, sizeof(*t->messages));
        t->cap = cap;
    }
    if (derived.n && derived_sort(derived, &d) < 0)
        d = (struct derived_sort){0};
    struct span subject = d.key[SORTKEY_SUBJECT];
    struct message *x = &t->messages[t->count];
    *x = (struct message){.arrived = m->row.internal_date.seconds,
                          .number = t->uid ? m->row.uid : m->seq,
                          .keys = (uint32_t)t->pool.n,
                          .n_subject = (uint16_t)subject.n,
                          .reply = d.reply_or_forward};
    x->sent = x->arrived; /* RFC 5256 section 2.2 */
    if (derived.n && derived_info(derived, &info) == 0 && info.sent_valid)
        x->sent = info.sent_utc;
    put_u64(&t->pool, d.message_id);
    if (t->algorithm != THREAD_ORDEREDSUBJECT) {
        x->n_references = (uint16_t)d.n_references;
        for (size_t i = 0; i < d.n_references; i++)
            put_u64(&t->pool, derived_reference(&d, i));
    }
    if (t->algorithm != THREAD_REFS)
        buf_put_span(&t->pool, subject);
    else
        x->n_subject = 0;
    if (!buf_ok(&t->pool))
        return ERR_LIMIT;
    t->count++;
    return 0;
}

static uint64_t id_of(const struct thread *t, const struct message *m, size_t i)
{
    return load_le64(t->pool.p + m->keys + 8 * i);
}

static struct span subject_of(const struct thread *t, uint32_t message)
{
    const struct message *m = &t->messages[message];
    return span_make(t->pool.p + m->keys + 8 + 8 * (size_t)m->n_references, m->n_subject);
}

/* --- nodes --- */

static int node_new(struct thread *t, uint64_t id, uint32_t message, uint32_t *ret)
{
    if (t->n_nodes == t->cap_nodes) {
        size_t cap = t->cap_nodes ? 2 * t->cap_nodes : MAX(t->count, 1024);
        if (cap > t->max / 4 / sizeof(*t->nodes) || cap >= NONE)
            return ERR_LIMIT;
        t->nodes = xrealloc_array(t->nodes, cap, sizeof(*t->nodes));
        t->cap_nodes = cap;
    }
    t->nodes[t->n_nodes] = (struct node){
        .id = id, .message = message, .parent = NONE, .first = NONE, .last = NONE, .next = NONE};
    if (t->phase == LINKING)
        forest_add(&t->forest);
    *ret = (uint32_t)t->n_nodes++;
    return 0;
}

/* The ids are hashes that a stranger can work out, hence the seed. */
static uint32_t *slot_of(const struct thread *t, uint64_t id)
{
    uint64_t h = (id ^ t->seed) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32) * t->seed;
    for (size_t i = h >> 20;; i++) {
        uint32_t *slot = &t->table[i & (t->table_size - 1)];
        if (*slot == NONE || t->nodes[*slot].id == id)
            return slot;
    }
}

static void table_grow(struct thread *t)
{
    size_t size = t->table_size ? 2 * t->table_size : 4096;
    free(t->table);
    t->table = xcalloc(size, sizeof(*t->table));
    memset(t->table, 0xff, size * sizeof(*t->table));
    t->table_size = size;
    for (size_t i = 0; i < t->n_nodes; i++)
        if (t->nodes[i].id)
            *slot_of(t, t->nodes[i].id) = (uint32_t)i;
}

static int node_by_id(struct thread *t, uint64_t id, uint32_t *ret)
{
    if (2 * t->table_used >= t->table_size)
        table_grow(t);
    uint32_t *slot = slot_of(t, id);
    if (*slot == NONE) {
        uint32_t made;
        if (node_new(t, id, NONE, &made) < 0)
            return ERR_LIMIT;
        *slot = made;
        t->table_used++;
    }
    *ret = *slot;
    return 0;
}

/* --- step 1: links --- */

/* Not if that would make a loop. child has no parent; only something that has children can be an
 * ancestor of `parent`, which spares the question for mail that arrives in order. */
static void link_nodes(struct thread *t, uint32_t parent, uint32_t child, size_t *work)
{
    if (parent == child)
        return;
    if (t->nodes[child].has_children && forest_root(&t->forest, parent, work) == child)
        return;
    forest_link(&t->forest, child, parent, work);
    t->nodes[child].parent = parent;
    t->nodes[parent].has_children = true;
}

static int link_message(struct thread *t, uint32_t index, size_t *work)
{
    struct message *m = &t->messages[index];
    uint32_t last = NONE, self = NONE;
    uint64_t id = id_of(t, m, 0);
    if (id && t->algorithm != THREAD_ORDEREDSUBJECT && node_by_id(t, id, &self) < 0)
        return ERR_LIMIT;
    if ((self == NONE || t->nodes[self].message != NONE) && node_new(t, 0, index, &self) < 0)
        return ERR_LIMIT;
    t->nodes[self].message = index;
    m->node = self;
    for (size_t i = 1; i <= m->n_references; i++) {
        uint32_t r;
        if (node_by_id(t, id_of(t, m, i), &r) < 0)
            return ERR_LIMIT;
        if (last != NONE && t->nodes[r].parent == NONE)
            link_nodes(t, last, r, work);
        last = r;
        ++*work;
    }
    if (t->nodes[self].parent != NONE) /* step 1.B; whoever counted it as a child may be wrong now,
                                          which costs a question at most */
        forest_cut(&t->forest, self, work);
    t->nodes[self].parent = NONE;
    if (last != NONE)
        link_nodes(t, last, self, work);
    return 0;
}

/* --- steps 2 and 3: without dummies, except those that hold roots together --- */

/* The parent of everything becomes the next real message above, or the dummy on top. Each walk
 * shortens the way for the next one: dummies then point to where theirs ended. */
static void shape(struct thread *t, uint32_t index, size_t *work)
{
    uint32_t self = t->messages[index].node, top = t->nodes[self].parent;
    if (top == NONE)
        return;
    while (t->nodes[top].message == NONE && t->nodes[top].parent != NONE) {
        top = t->nodes[top].parent;
        ++*work;
    }
    for (uint32_t v = t->nodes[self].parent; v != top;) {
        uint32_t up = t->nodes[v].parent;
        t->nodes[v].parent = top;
        v = up;
        ++*work;
    }
    t->nodes[self].parent = top;
}

/* --- steps 4 and 6: order --- */

static bool comes_before(const struct thread *t, uint32_t b, uint32_t a)
{
    if (t->phase == SORTING)
        return t->newest[b] < t->newest[a];
    return t->messages[b].sent < t->messages[a].sent;
}

/* Stable. True when v[0..n) is in order. */
static bool merge_step(struct thread *t, uint32_t **v, size_t n)
{
    size_t done = 0;
    if (!t->other)
        t->other = xcalloc(MAX(t->n_nodes, 1), sizeof(*t->other));
    while (done < STEP_WORK && t->width < n) {
        size_t middle = MIN(t->at + t->width, n), to = MIN(middle + t->width, n);
        size_t a = t->at, b = middle;
        const uint32_t *in = *v;
        for (size_t i = t->at; i < to; i++) {
            bool right = a == middle || (b < to && comes_before(t, in[b], in[a]));
            t->other[i] = right ? in[b++] : in[a++];
        }
        done += to - t->at;
        t->at = to;
        if (t->at == n) {
            uint32_t *swap = *v;
            *v = t->other;
            t->other = swap;
            t->width *= 2;
            t->at = 0;
        }
    }
    return t->width >= n;
}

static void append_child(struct thread *t, uint32_t parent, uint32_t child)
{
    struct node *p = &t->nodes[parent];
    if (p->last == NONE)
        p->first = child;
    else
        t->nodes[p->last].next = child;
    p->last = child;
}

static void append_root(struct thread *t, uint32_t root)
{
    if (t->nodes[root].listed)
        return;
    t->nodes[root].listed = true;
    t->roots[t->n_roots++] = root;
}

/* Messages come in the order of their dates, so that every list of siblings is made in order, and a
 * dummy stands where its first child does. */
static void place(struct thread *t, uint32_t self)
{
    uint32_t parent = t->nodes[self].parent;
    if (parent == NONE) {
        append_root(t, self);
        return;
    }
    append_child(t, parent, self);
    if (t->nodes[parent].message == NONE) /* after merging, one may be in another's place */
        append_root(t, parent);
}

/* Step 3: a dummy with one child is none. */
static void unwrap(struct thread *t, size_t i)
{
    uint32_t root = t->roots[i], only = t->nodes[root].first;
    if (t->nodes[root].message != NONE || only != t->nodes[root].last)
        return;
    t->nodes[only].parent = NONE;
    t->roots[i] = only;
}

/* --- step 5, and ORDEREDSUBJECT --- */

static uint32_t message_for(const struct thread *t, uint32_t root)
{
    const struct node *n = &t->nodes[root];
    return n->message != NONE ? n->message : t->nodes[n->first].message;
}

static uint32_t *subject_slot(const struct thread *t, struct span subject)
{
    size_t mask = t->n_subjects - 1;
    for (size_t i = hash_bytes(subject);; i++) {
        uint32_t *slot = &t->subjects[i & mask];
        if (*slot == NONE || span_eq(subject_of(t, message_for(t, *slot)), subject))
            return slot;
    }
}

static void subjects_begin(struct thread *t)
{
    t->n_subjects = 1024;
    while (t->n_subjects < 2 * t->n_roots)
        t->n_subjects *= 2;
    t->subjects = xcalloc(t->n_subjects, sizeof(*t->subjects));
    memset(t->subjects, 0xff, t->n_subjects * sizeof(*t->subjects));
}

/* Step 5.B: of the threads with one subject, the one that the others go to. */
static void populate(struct thread *t, uint32_t root)
{
    uint32_t m = message_for(t, root);
    struct span subject = subject_of(t, m);
    if (!subject.n)
        return;
    uint32_t *slot = subject_slot(t, subject);
    if (*slot == NONE) {
        *slot = root;
        return;
    }
    uint32_t there = t->nodes[*slot].message;
    bool dummy = t->nodes[root].message == NONE;
    if (there != NONE && (dummy || (t->messages[there].reply && !t->messages[m].reply)))
        *slot = root;
}

static void adopt_all(struct thread *t, uint32_t from, uint32_t to, size_t *work)
{
    for (uint32_t v = t->nodes[from].first; v != NONE; v = t->nodes[v].next, ++*work)
        t->nodes[v].parent = to;
}

/* Step 5.C. Only parents change; the lists are made anew afterwards. */
static int merge_subject(struct thread *t, uint32_t root, size_t *work)
{
    uint32_t m = message_for(t, root), made;
    struct span subject = subject_of(t, m);
    if (!subject.n)
        return 0;
    uint32_t *slot = subject_slot(t, subject), there = *slot;
    if (there == root)
        return 0;
    bool dummy = t->nodes[root].message == NONE, dummy_there = t->nodes[there].message == NONE;
    if (dummy && dummy_there) {
        adopt_all(t, root, there, work);
        return 0;
    }
    if (dummy_there || (t->messages[m].reply && !t->messages[message_for(t, there)].reply)) {
        t->nodes[root].parent = there;
        return 0;
    }
    if (node_new(t, 0, NONE, &made) < 0)
        return ERR_LIMIT;
    t->nodes[root].parent = made;
    t->nodes[there].parent = made;
    t->nodes[made].first = there; /* whose subject it has */
    *slot = made;
    return 0;
}

/* ORDEREDSUBJECT: the earliest message of a subject is the parent of all the others. */
static void group(struct thread *t, uint32_t root)
{
    uint32_t *slot = subject_slot(t, subject_of(t, t->nodes[root].message));
    if (*slot == NONE)
        *slot = root;
    else
        t->nodes[root].parent = *slot;
}

static void forget_lists(struct thread *t)
{
    for (size_t i = 0; i < t->n_nodes; i++) {
        struct node *n = &t->nodes[i];
        n->first = n->last = n->next = NONE;
        n->listed = false;
    }
    t->n_roots = 0;
}

/* --- REFS --- */

/* Every node of a thread, once: down to the first child, else on, else up. */
static int64_t newest_of(const struct thread *t, uint32_t root, size_t *work)
{
    int64_t newest = INT64_MIN;
    for (uint32_t v = root;;) {
        const struct node *n = &t->nodes[v];
        ++*work;
        if (n->message != NONE)
            newest = MAX(newest, t->messages[n->message].arrived);
        if (n->first != NONE) {
            v = n->first;
            continue;
        }
        while (v != root && t->nodes[v].next == NONE)
            v = t->nodes[v].parent;
        if (v == root)
            return newest;
        v = t->nodes[v].next;
    }
}

/* --- phases --- */

static void enter(struct thread *t, enum phase phase)
{
    t->phase = phase;
    t->at = 0;
    t->width = 1;
    if (phase == SHAPING) {
        forest_done(&t->forest);
    } else if (phase == ORDERING) {
        t->order = xcalloc(MAX(t->count, 1), sizeof(*t->order));
        for (size_t i = 0; i < t->count; i++)
            t->order[i] = (uint32_t)i;
    } else if (phase == PLACING) {
        t->roots = xcalloc(MAX(t->n_nodes, 1), sizeof(*t->roots));
    } else if (phase == MERGING) {
        subjects_begin(t);
    } else if (phase == REPLACING) {
        free(t->roots); /* dummies may have been added */
        t->roots = xcalloc(MAX(t->n_nodes, 1), sizeof(*t->roots));
        forget_lists(t);
    } else if (phase == NEWEST) {
        t->newest = xcalloc(MAX(t->n_nodes, 1), sizeof(*t->newest));
    }
}

/* Step 5 goes twice over the roots: `at` counts both. */
static int merging(struct thread *t, size_t *work)
{
    size_t ends = t->algorithm == THREAD_REFERENCES ? 2 * t->n_roots : t->n_roots;
    for (; t->at < ends && *work < STEP_WORK; t->at++, ++*work) {
        uint32_t root = t->roots[t->at % t->n_roots];
        if (t->algorithm == THREAD_ORDEREDSUBJECT)
            group(t, root);
        else if (t->at < t->n_roots)
            populate(t, root);
        else if (merge_subject(t, root, work) < 0)
            return ERR_LIMIT;
    }
    if (t->at == ends)
        enter(t, REPLACING);
    return 1;
}

static int for_messages(struct thread *t, size_t *work)
{
    int rc = 0;
    for (; t->at < t->count && *work < STEP_WORK && rc == 0; t->at++, ++*work) {
        if (t->phase == LINKING)
            rc = link_message(t, (uint32_t)t->at, work);
        else if (t->phase == SHAPING)
            shape(t, (uint32_t)t->at, work);
        else
            place(t, t->messages[t->order[t->at]].node);
    }
    if (rc)
        return rc;
    if (t->at < t->count)
        return 1;
    if (t->phase == PLACING)
        for (size_t i = 0; i < t->n_roots; i++)
            unwrap(t, i);
    if (t->phase != PLACING)
        enter(t, t->phase == REPLACING ? DONE : t->phase + 1);
    else
        enter(t, t->algorithm == THREAD_REFS ? NEWEST : MERGING);
    return 1;
}

int thread_step(struct thread *t)
{
    size_t work = 0;
    switch (t->phase) {
    case LINKING:
    case SHAPING:
    case PLACING:
    case REPLACING:
        return for_messages(t, &work);
    case ORDERING:
        if (merge_step(t, &t->order, t->count))
            enter(t, PLACING);
        return 1;
    case MERGING:
        return merging(t, &work);
    case NEWEST:
        for (; t->at < t->n_roots && work < STEP_WORK; t->at++)
            t->newest[t->roots[t->at]] = newest_of(t, t->roots[t->at], &work);
        if (t->at == t->n_roots)
            enter(t, SORTING);
        return 1;
    case SORTING:
        if (merge_step(t, &t->roots, t->n_roots))
            enter(t, DONE);
        return 1;
    case DONE:
        break;
    }
    return 0;
}

/* --- the answer (RFC 5256 section 4) --- */

/* Puts a node and opens what is below it: one child follows, several stand in parentheses. */
static uint32_t put_node(struct thread *t, struct buf *out, uint32_t v)
{
    const struct node *n = &t->nodes[v];
    if (n->message != NONE) {
        buf_put_u64(out, t->messages[n->message].number);
        if (n->first != NONE)
            buf_put_byte(out, ' ');
    }
    if (n->first != n->last)
        buf_put_byte(out, '(');
    return n->first;
}

/* Behind v and all below it: to its next sibling, or else to its parent, behind which the same is
 * next. */
static void put_behind(struct thread *t, struct buf *out)
{
    const struct node *n = &t->nodes[t->out_node];
    if (n->parent == NONE) {
        buf_put_byte(out, ')');
        t->out_node = NONE;
        t->rising = false;
        return;
    }
    const struct node *parent = &t->nodes[n->parent];
    if (parent->first != parent->last)
        buf_put_byte(out, ')');
    if (n->next != NONE)
        buf_put_byte(out, '(');
    t->rising = n->next == NONE;
    t->out_node = t->rising ? n->parent : n->next;
}

static void put_next(struct thread *t, struct buf *out)
{
    if (t->rising) {
        put_behind(t, out);
        return;
    }
    if (t->out_node == NONE) {
        buf_put(out, t->out_root ? "(" : " (", t->out_root ? 1 : 2);
        t->out_node = t->roots[t->out_root++];
    }
    uint32_t below = put_node(t, out, t->out_node);
    t->rising = below == NONE;
    if (below != NONE)
        t->out_node = below;
}

int thread_pull(void *thread, struct buf *out, size_t room)
{
    struct thread *t = thread;
    size_t start = out->n;
    if (!t->begun)
        buf_put_lit(out, "* THREAD");
    t->begun = true;
    while (t->out_root < t->n_roots || t->out_node != NONE) {
        if (out->n - start + 48 > room)
            return 1;
        put_next(t, out);
    }
    buf_put_lit(out, "\r\n");
    return 0;
}

void thread_producer_free(void *thread)
{
    thread_free(thread);
}
