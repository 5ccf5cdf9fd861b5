/* imap/forest.h: trees of numbered nodes that are linked and cut, and which tree a node is in.
 *
 * Link-cut trees (Sleator and Tarjan, "A data structure for dynamic trees", 1983; with splay trees,
 * 1985): every operation costs O(log n) amortised, however deep the trees are, where walking up
 * costs the depth, which a stranger may choose. Ownership: the caller's; one thread. Memory: 12
 * octets a node. No operation fails. */
#ifndef IMAP_FOREST_H
#define IMAP_FOREST_H

#include <stddef.h>
#include <stdint.h>

struct forest_node;
struct forest {
    struct forest_node *nodes;
    size_t count, cap;
};
#define FOREST_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void forest_done(struct forest *f);
/* A new tree of one node, whose number is the next one, from 0. */
void forest_add(struct forest *f);
/* The root of the tree that v is in. *work grows by the steps that it took. */
uint32_t forest_root(struct forest *f, uint32_t v, size_t *work);
/* child, the root of its tree, goes below parent, which is in another tree. */
void forest_link(struct forest *f, uint32_t child, uint32_t parent, size_t *work);
/* v becomes the root of a tree of its own, with all that is below it. */
void forest_cut(struct forest *f, uint32_t v, size_t *work);

#endif
