/* Each tree is cut into paths from above to below. A path is a splay tree, ordered by depth; the
 * root of that splay tree has as `up` the node above the path, which does not know of it. */
#include "imap/forest.h"

#include "base/cleanup.h"

#define NONE UINT32_MAX

struct forest_node {
    uint32_t up, left, right; /* left: nearer to the root */
};

void forest_done(struct forest *f)
{
    free(f->nodes);
    *f = (struct forest)FOREST_INIT;
}

void forest_add(struct forest *f)
{
    if (f->count == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 1024;
        f->nodes = xrealloc_array(f->nodes, f->cap, sizeof(*f->nodes));
    }
    f->nodes[f->count++] = (struct forest_node){NONE, NONE, NONE};
}

/* Of a splay tree, that is. */
static bool is_top(const struct forest_node *n, uint32_t v)
{
    uint32_t up = n[v].up;
    return up == NONE || (n[up].left != v && n[up].right != v);
}

static void rotate(struct forest_node *n, uint32_t v)
{
    uint32_t p = n[v].up, g = n[p].up, moved;
    if (!is_top(n, p)) {
        if (n[g].left == p)
            n[g].left = v;
        else
            n[g].right = v;
    }
    if (n[p].left == v) {
        moved = n[p].left = n[v].right;
        n[v].right = p;
    } else {
        moved = n[p].right = n[v].left;
        n[v].left = p;
    }
    if (moved != NONE)
        n[moved].up = p;
    n[p].up = v;
    n[v].up = g;
}

static void splay(struct forest_node *n, uint32_t v, size_t *work)
{
    for (; !is_top(n, v); ++*work) {
        uint32_t p = n[v].up;
        if (!is_top(n, p)) {
            uint32_t g = n[p].up;
            rotate(n, (n[g].left == p) == (n[p].left == v) ? p : v);
        }
        rotate(n, v);
    }
}

/* The path from the root to v, which ends there, becomes one splay tree with v on top. */
static void expose(struct forest_node *n, uint32_t v, size_t *work)
{
    uint32_t below = NONE;
    for (uint32_t at = v; at != NONE; at = n[at].up, ++*work) {
        splay(n, at, work);
        n[at].right = below;
        below = at;
    }
    splay(n, v, work);
}

uint32_t forest_root(struct forest *f, uint32_t v, size_t *work)
{
    struct forest_node *n = f->nodes;
    expose(n, v, work);
    for (; n[v].left != NONE; ++*work)
        v = n[v].left;
    splay(n, v, work); /* which pays for the walk */
    return v;
}

void forest_link(struct forest *f, uint32_t child, uint32_t parent, size_t *work)
{
    expose(f->nodes, child, work);
    expose(f->nodes, parent, work);
    f->nodes[child].up = parent;
}

void forest_cut(struct forest *f, uint32_t v, size_t *work)
{
    struct forest_node *n = f->nodes;
    expose(n, v, work);
    if (n[v].left != NONE)
        n[n[v].left].up = NONE;
    n[v].left = NONE;
}
