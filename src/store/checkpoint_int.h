/* store/checkpoint_int.h: checkpoint files, for recover.c and tests. */
#ifndef STORE_CHECKPOINT_INT_H
#define STORE_CHECKPOINT_INT_H

#include "store/recover.h"

enum { CHECKPOINT_NAME_MAX = 40 };

struct checkpoint_list {
    uint64_t *seq; /* ascending */
    size_t n;
};

void checkpoint_name(uint64_t seq, char ret[CHECKPOINT_NAME_MAX]);
int checkpoints_list(const char *dir, struct checkpoint_list *ret, struct err *err) must_check;
void checkpoint_list_done(struct checkpoint_list *list);
/* All below seq (UINT64_MAX: all), and unfinished ones: none may be in the making. */
int checkpoints_remove(const char *dir, uint64_t below, struct err *err) must_check;

#endif
