/* index/derived.h: derived records, beside LMDB. Private to src/index.
 *
 * A derived record is written once, read often and can always be made again. So it needs no
 * transaction: records are appended to files derived-<n>, and the message's entry says where. That
 * spares the index most of its octets (a checkpoint need not copy them), an expunge touches none of
 * them, and a change costs one pwrite instead of half a dozen pages.
 *
 *     record   message id(8) length(4) 0(4) octets, padded to 8
 *
 * Where the next record goes is in the state record, so what an aborted transaction or a lost
 * future wrote is overwritten. Files are mapped for reading. When more than half of a file that no
 * longer grows is dead, later writes move its live records on, a few at a time, and the file is
 * removed; a reader whose record is not where the entry says reports ERR_NOT_FOUND, and it is made
 * again. */
#ifndef INDEX_DERIVED_H
#define INDEX_DERIVED_H

#include "index/index_int.h"

enum {
    DERIVED_FILE_MAX = 64 << 20,
    DERIVED_RECORD_MAX = (1 << 24) - 1,
    DERIVED_HEAD = 16,
    DERIVED_PENDING_MAX = 256 << 10,
    DERIVED_ROLL_MIN = 256 << 10, /* a file of less is not worth rewriting */
};

struct derived_file {
    uint32_t number;
    int fd;
    const char *map; /* DERIVED_FILE_MAX octets of address space */
    uint64_t size;   /* known to exist */
};

struct derived_files {
    char *dir;
    bool reader; /* of files that another process writes */
    struct derived_file *v;
    size_t n;
    /* moving live records out of a file */
    uint32_t moving; /* 0: none */
    uint64_t moving_at;
    uint32_t moved; /* emptied by this transaction; removed after its commit */
    unsigned puts;
};

/* After a commit / an abort. */
void derived_committed(struct index *index);
void derived_aborted(struct index *index);

#endif
