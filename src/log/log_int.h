/* log/log_int.h: what the files of src/log share, and their tests. */
#ifndef LOG_LOG_INT_H
#define LOG_LOG_INT_H

#include "base/bytes.h"
#include "base/list.h"
#include "log/log.h"

enum {
    FRAME_MAGIC = 0x31464c4d, /* "MLF1" */
    FRAME_HEADER = 64,
    SEGMENT_HEADER = 64,
    FRAME_ALIGN = 8,
    LOG_FDS_MAX = 16, /* descriptors of older segments kept open */
};

enum segment_kind { SEGMENT_LOG = 1, SEGMENT_EXTERNAL = 2, SEGMENT_BASE = 3 };

struct frame_header {
    uint64_t seq, time, durable, ops_length, payload_length;
    uint32_t ops_crc, payload_crc, flags;
    uint16_t type, version;
};

struct segment_header {
    uint16_t kind;
    uint32_t incarnation;
    unsigned char id[LOG_ID_LEN];
    uint64_t number, first_seq, created;
};

/* frame.c: fixed layouts, docs/log-format.md */
void frame_header_put(char to[FRAME_HEADER], const struct frame_header *h);
bool frame_header_get(const char from[FRAME_HEADER], struct frame_header *ret);
void segment_header_put(char to[SEGMENT_HEADER], const struct segment_header *h);
bool segment_header_get(const char from[SEGMENT_HEADER], struct segment_header *ret);
static inline uint64_t frame_padding(uint64_t n)
{
    return (FRAME_ALIGN - n % FRAME_ALIGN) % FRAME_ALIGN;
}
static inline uint64_t frame_size(const struct frame_header *h)
{
    uint64_t n = FRAME_HEADER + h->ops_length + h->payload_length;
    return n + frame_padding(n);
}

struct segment {
    uint64_t number, first_seq;
    uint64_t size;       /* bytes in use: where the next frame goes */
    uint64_t dropped_at; /* seconds; role LOG_SEGMENT_DROPPED: when it may be removed */
    uint16_t kind, role;
    struct log_file *file; /* NULL: not open */
    uint64_t used_at;      /* for closing the least recently used */
    uint32_t held;         /* log_fds out */
};

struct log {
    struct log_fs *fs;
    char *dir;
    struct log_file *lock;
    unsigned char id[LOG_ID_LEN];
    uint32_t incarnation;
    uint64_t segment_size;
    uint64_t known_seq;
    uint64_t replay_segment; /* the first segment of replay */
    uint64_t replay_seq;     /* frames up to here are in the base; 0 without one */
    uint64_t next_number;    /* for a new segment */

    struct segment *segments; /* ascending numbers; the last log segment is written to */
    size_t segment_count;

    /* Up to here the log was complete and durable when the manifest was written. */
    uint64_t tail_segment, tail_size, tail_seq;
    bool tail_moved; /* something was written since */

    uint64_t last_seq; /* written */
    uint64_t durable_seq;
    bool closed;          /* a sync failed */
    bool dirty_dir;       /* a file was made since the last sync */
    uint64_t unsynced[3]; /* numbers of segments with unsynced bytes beside the current one */
    int unsynced_count;

    /* Staged frames: contiguous in the segment `stage_segment`, from stage_offset on. */
    uint64_t stage_segment, stage_offset, staged_seq;
    struct buf stage_bytes; /* headers, operations, paddings */
    struct stage_piece {
        size_t at, n;        /* in stage_bytes; or ... */
        struct span payload; /* ... borrowed, if p is set */
    } * pieces;
    size_t piece_count, piece_cap;
    uint64_t stage_size;
    unsigned leases;
    uint64_t clock; /* counts uses of descriptors */
};

/* segments.c */
char *segment_path(const struct log *log, const char *prefix, uint64_t number);
struct segment *segment_find(struct log *log, uint64_t number);
struct segment *segment_add(struct log *log, uint64_t number, uint16_t kind);
int segment_open(struct log *log, struct segment *s, struct err *err) must_check;
void segment_close(struct log *log, struct segment *s);
/* A new file with its header, not synced. */
int segment_create(struct log *log, uint64_t number, uint16_t kind, uint64_t first_seq,
                   struct segment **ret, struct err *err) must_check;
struct segment *segment_current(struct log *log);

/* manifest.c */
int manifest_write(struct log *log, struct err *err) must_check; /* synced, atomically */
int manifest_read(struct log *log, struct err *err) must_check;

/* scan.c: walks the frames of a segment. */
struct scan {
    struct log *log;
    struct segment *segment;
    uint64_t at, end;  /* end: size of the file */
    struct buf window; /* bytes of the file from window_at on */
    uint64_t window_at;
    bool payloads; /* verify them */
};
enum scan_result {
    SCAN_FRAME,  /* intact, as far as asked for */
    SCAN_BAD,    /* something else: damage or the end; scan_resync looks further */
    SCAN_END,    /* exactly at the end */
    SCAN_FAILED, /* I/O error, in err */
};
void scan_init(struct scan *s, struct log *log, struct segment *segment, uint64_t at, uint64_t end);
void scan_done(struct scan *s);
/* The frame at s->at; advances past it. ops point into the window, until the next call. *ret_what
 * (may be NULL): what is bad. */
enum scan_result scan_next(struct scan *s, struct log_frame *ret, struct span *ret_ops,
                           const char **ret_what, struct err *err);
/* After SCAN_BAD: moves to the next place where an intact header stands; false if none. */
bool scan_resync(struct scan *s, struct err *err);

int log_errno(struct err *err, int rc, const char *what, const char *path);

#endif
