/* log/log_int.h: what the files of src/log share, and their tests. */
#ifndef LOG_LOG_INT_H
#define LOG_LOG_INT_H

#include "base/bytes.h"
#include "base/list.h"
#include "log/log.h"

enum {
    FRAME_HEADER = 64,
    SEGMENT_HEADER = 80,
    FRAME_ALIGN = 8,
    LOG_FDS_MAX = 16, /* descriptors of older segments kept open */
};

#define LOG_SEQ_MAX (UINT64_MAX / 2) /* so that sums cannot overflow */
/* No segment of frames grows so far (it ends with the frame that passes segment_size). A file that
 * is shorter than the recorded tail is made that long again: this bounds it. */
#define LOG_TAIL_MAX ((uint64_t)1 << 40)

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
    uint64_t number, first_seq, created, key;
};

/* Where a frame stands. Its header is marked and checksummed with the log's secret key and its
 * place: message bytes are chosen by strangers, and when a scan looks for the next frame after
 * damage, nothing inside a message may pass for one. */
struct frame_place {
    uint64_t key, segment, offset;
};

/* frame.c: fixed layouts, docs/log-format.md */
void frame_header_put(char to[FRAME_HEADER], const struct frame_header *h,
                      const struct frame_place *place);
bool frame_header_get(const char from[FRAME_HEADER], const struct frame_place *place,
                      struct frame_header *ret);
void segment_header_put(char to[SEGMENT_HEADER], const struct segment_header *h);
/* 0, ERR_CORRUPT, or ERR_VERSION: intact, but of a version that is not known here. */
int segment_header_get(const char from[SEGMENT_HEADER], struct segment_header *ret) must_check;
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
    uint32_t incarnation;  /* 0: not read */
    bool sealed;           /* size is final and durable: the manifest tells it */
    bool header_synced;    /* known only where it matters: for one without frames */
    bool missing;          /* its file is gone: damage */
    bool headless;         /* its header is not intact */
    bool demoted;          /* by the switch to a base that is going on */
    struct log_file *file; /* NULL: not open */
    struct list used;      /* in log->used while open, most recent first */
    uint32_t held;         /* must stay open: syncs, scans, unfinished external payloads */
};

struct log {
    struct log_fs *fs;
    char *dir;
    struct log_file *lock;
    unsigned char id[LOG_ID_LEN];
    uint64_t key; /* random: marks frames, see struct frame_place */
    uint32_t incarnation;
    uint64_t segment_size;
    uint64_t known_seq;
    uint64_t replay_segment; /* the first segment of replay */
    uint64_t replay_seq;     /* frames up to here are in the base; 0 without one */
    uint64_t next_number;    /* for a new segment */

    struct segment **segments; /* ascending numbers */
    size_t segment_count, segment_cap;
    struct segment *current; /* the last of kind SEGMENT_LOG: is written to */
    struct list used;
    size_t open_count;

    /* Up to here the log was complete and durable when the manifest was written. */
    uint64_t tail_segment, tail_size, tail_seq;
    uint64_t tail_durable; /* all up to here was durable then */
    bool tail_moved;       /* something was written since */

    /* While it opens: segments whose file is lost; whether a listed one was removed. */
    uint64_t lost;
    bool unlisted;

    uint64_t last_seq; /* written */
    uint64_t durable_seq;
    uint64_t seen_to;     /* a view shows frames up to here; else UINT64_MAX */
    struct log *origin;   /* of a view */
    bool closed;          /* a sync failed; or a view, or a reader */
    bool reader;          /* log_reader_open: another process writes it */
    bool syncing;         /* between log_sync_begin and _end */
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
    struct iovec *iov;
    size_t iov_cap;
    unsigned leases;
};

/* segments.c */
char *segment_path(const struct log *log, const char *prefix, uint64_t number);
struct segment *segment_find(struct log *log, uint64_t number);
/* The same, for reading: a reader learns of segments as they are asked for. */
struct segment *segment_sought(struct log *log, uint64_t number);
struct segment *segment_add(struct log *log, uint64_t number, uint16_t kind);
void segment_remove(struct log *log, struct segment *s); /* from the list; closes and frees it */
/* ERR_CORRUPT if the file is missing. */
int segment_open(struct log *log, struct segment *s, struct err *err) must_check;
void segment_close(struct log *log, struct segment *s);
/* A new file with its header, not synced. */
int segment_create(struct log *log, uint64_t number, uint16_t kind, uint64_t first_seq,
                   struct segment **ret, struct err *err) must_check;
/* As segment_create for a log segment, synced with its directory: for one that may stay empty. */
int segment_create_synced(struct log *log, uint64_t first_seq, struct err *err) must_check;
void segment_header_make(const struct log *log, uint64_t number, uint16_t kind, uint64_t first_seq,
                         char to[SEGMENT_HEADER]);
void segments_find_current(struct log *log);
bool segment_is_replayed_log(const struct segment *s);
/* All of it, or a negative errno. */
int log_write_at(struct log *log, struct log_file *f, struct iovec *iov, size_t n, uint64_t at);

/* manifest.c */
/* Synced, atomically. ERR_UNKNOWN: which one is on the disk is not known; else after a failure
 * certainly the old one. */
int manifest_write(struct log *log, struct err *err) must_check;
int manifest_read(struct log *log, struct err *err) must_check;
bool manifest_is_whole(struct log *log);

/* open.c, tail.c */
struct log *log_alloc(const struct log_options *o, const char *dir);
void log_free(struct log *log);
int tail_open(struct log *log, struct log_report *report, struct err *err) must_check;

/* scan.c: walks the frames of a segment. */
struct scan {
    struct log *log;
    struct segment *segment;
    uint64_t at, end;  /* end: of what is in use in the file */
    uint64_t resume;   /* after SCAN_BAD: where the next frame may stand at the earliest */
    struct buf window; /* bytes of the file from window_at on */
    uint64_t window_at;
    size_t ahead;         /* how much to read at once */
    uint64_t verify_from; /* verify payloads of frames from this number on; UINT64_MAX: none */
    bool cut;             /* the file is shorter than it should be */
    bool tolerant;        /* what cannot be read is damage, not a failure */
    bool unreadable;      /* the last need() met that */
    bool holding;
};
enum scan_result {
    SCAN_FRAME,  /* intact, as far as asked for */
    SCAN_BAD,    /* something else: damage or the end; scan_resync looks further */
    SCAN_END,    /* exactly at the end */
    SCAN_FAILED, /* I/O error, in err */
};
/* Opens the segment and holds it open. */
int scan_init(struct scan *s, struct log *log, struct segment *segment, uint64_t at, uint64_t end,
              struct err *err) must_check;
void scan_done(struct scan *s);
/* The frame at s->at; advances past it. ops point into the window, until the next call. *ret_what
 * (may be NULL): what is bad. */
enum scan_result scan_next(struct scan *s, struct log_frame *ret, struct span *ret_ops,
                           const char **ret_what, struct err *err);
/* After SCAN_BAD: moves behind it, to the next place where an intact header stands or to the end.
 */
int scan_resync(struct scan *s, struct err *err) must_check;

int log_error_of(struct err *err, int rc, const char *what, const char *path);
#define log_errno(err, rc, what, path)                                                             \
    ({                                                                                             \
        int log_code_ = log_error_of(err, rc, what, path);                                         \
        if (log_code_ >= 0)                                                                        \
            __builtin_unreachable(); /* said to checkers of the code */                            \
        log_code_;                                                                                 \
    })

#endif
