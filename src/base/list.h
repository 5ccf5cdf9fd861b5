/* base/list.h: intrusive doubly linked list.
 *
 * A struct list is both head and link. list_init before use; list_remove leaves the link
 * initialised, so removing twice is harmless. Iterate with list_each_safe where the body may remove
 * its element. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/cleanup.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_between(struct list *l, struct list *prev, struct list *next)
{
    l->prev = prev;
    l->next = next;
    prev->next = l;
    next->prev = l;
}

static inline void list_push_back(struct list *head, struct list *l)
{
    list_insert_between(l, head->prev, head);
}

static inline void list_push_front(struct list *head, struct list *l)
{
    list_insert_between(l, head, head->next);
}

static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

#define list_entry(l, type, member) container_of(l, type, member)
#define list_first(head, type, member)                                                             \
    (list_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_last(head, type, member)                                                              \
    (list_empty(head) ? NULL : list_entry((head)->prev, type, member))
#define list_each(var, head, member)                                                               \
    for (var = list_entry((head)->next, __typeof__(*var), member); &var->member != (head);         \
         var = list_entry(var->member.next, __typeof__(*var), member))
#define list_each_safe(var, tmp, head, member)                                                     \
    for (var = list_entry((head)->next, __typeof__(*var), member),                                 \
        tmp = list_entry(var->member.next, __typeof__(*var), member);                              \
         &var->member != (head);                                                                   \
         var = tmp, tmp = list_entry(var->member.next, __typeof__(*var), member))

#endif
