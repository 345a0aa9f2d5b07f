/* What is in the items of many lines, counted: for each attribute, and each place inside of maps and lists, how many values have which type,
   and of attributes what their values look like. `pipeline/inspection/statistics.py` is the same in Python, and takes in what is counted
   here as it takes in what another process has counted.

   A line is looked at as a whole before any of it is counted: one that is not surely a sound item, written as DynamoDB writes them, counts
   as nothing here and is for Python. So are names that are long or escaped, and lines with more names than there is room for. */

#include "statistics.h"

#include "steps.h"

#define TAGS 10
/* As `tag_bit` numbers them. */
static const char *const TAG_NAMES[TAGS] = {"S", "N", "B", "L", "M", "BOOL", "SS", "NS", "BS", "NULL"};
enum { OF_S, OF_N, OF_B, OF_L, OF_M, OF_BOOL, OF_SS, OF_NS, OF_BS, OF_NULL };

/* Deeper ones are for Python. */
#define MOST_NESTING 64
/* A step is a member's name, or the elements of a list; below so many, places are not kept. */
#define STEPS 3
/* So many bytes of a name, names and places of a table, and members of a map whose places are not kept. */
#define MOST_NAME 64
#define MOST_NODES 2000
#define MOST_MEMBERS 128
#define NODE_BUCKETS 1024
/* An attribute with more different texts, or with a longer one, has no list of them. */
#define MOST_TEXTS 20
#define MOST_CHARACTERS 64

/* -- what is counted ------------------------------------------------------------------------------------------------------------------- */

#define SHAPE_COUNT(member, text) COUNT(OF_##member, "shapes", text)
/* Of an attribute's values: as the tallies of `Attribute` and `Evidence`. Those of shapes and of forms in the order of their enums. */
#define EACH_COUNT(COUNT)                                                                                                              \
    COUNT(OF_VALID, "numbers", "valid") COUNT(OF_NON_CANONICAL, "numbers", "non_canonical") COUNT(OF_ZEROS, "numbers", "zeros")        \
    COUNT(OF_NEGATIVE, "numbers", "negative") COUNT(OF_FRACTIONAL, "numbers", "fractional")                                            \
    COUNT(OF_SECONDS, "epoch", "seconds") COUNT(OF_MILLISECONDS, "epoch", "milliseconds") COUNT(OF_MICROSECONDS, "epoch", "microseconds") \
    COUNT(OF_DATES, "times", "date") COUNT(OF_WITH_ZONE, "times", "with zone") COUNT(OF_WITHOUT_ZONE, "times", "without zone")          \
    COUNT(OF_INVALID_TIMES, "times", "invalid") COUNT(OF_OUT_OF_BOUNDS, "times", "out of bounds")                                      \
    COUNT(OF_INTEGERS, "digits", "integers") COUNT(OF_FRACTIONS, "digits", "fractions")                                                \
    COUNT(OF_SETS_OF_UUIDS, "sets", "uuids") COUNT(OF_SETS_OF_TEXTS, "sets", "texts")                                                  \
    COUNT(OF_INTEGERS_OF_SETS, "numbers_of_sets", "integers") COUNT(OF_FRACTIONS_OF_SETS, "numbers_of_sets", "fractions")
#define COUNT_MEMBER(member, group, key) member,
#define COUNT_NAME(member, group, key) {group, key},
#define SHAPE_NAME(member, text) {"shapes", text},
enum { EACH_COUNT(COUNT_MEMBER) OTHER_COUNTS };
#define COUNTS (OTHER_COUNTS + SHAPES)
static const struct {
    const char *group, *key;
} COUNT_NAMES[COUNTS] = {EACH_COUNT(COUNT_NAME) EACH_SHAPE(SHAPE_NAME)};

#define EACH_EXTENT(EXTENT)                                                                                                          \
    EXTENT(CHARACTERS, "characters") EXTENT(UTF8_BYTES, "utf8_bytes") EXTENT(MAP_MEMBERS, "map_members")                               \
    EXTENT(LIST_ELEMENTS, "list_elements") EXTENT(DEPTH, "depth") EXTENT(BINARY_BYTES, "binary_bytes")                                 \
    EXTENT(SET_MEMBERS, "set_members") EXTENT(BEFORE_POINT, "digits_before_point") EXTENT(SIGNIFICANT, "significant_digits")           \
    EXTENT(AFTER_POINT, "digits_after_point")
#define EXTENT_MEMBER(member, name) member,
#define EXTENT_NAME(member, name) name,
enum { EACH_EXTENT(EXTENT_MEMBER) EXTENTS };
static const char *const EXTENT_NAMES[EXTENTS] = {EACH_EXTENT(EXTENT_NAME)};

typedef struct {
    bool is_known;
    int64_t least, greatest;
} Extent;

static void measure(Extent *extent, int64_t size) {
    if (!extent->is_known || size < extent->least) extent->least = size;
    if (!extent->is_known || size > extent->greatest) extent->greatest = size;
    extent->is_known = true;
}

typedef struct {
    uint64_t count;
    size_t size;
    unsigned char bytes[4 * MOST_CHARACTERS];
} Known;

/* Of an attribute. */
typedef struct {
    uint64_t counts[COUNTS];
    Extent extents[EXTENTS];
    Extremes numbers, integers_of_sets;
    Known *texts; /* MOST_TEXTS of them */
    size_t text_count;
    bool has_many_texts;
} Figures;

/* An attribute, or a place inside of one: a member of a map, or the elements of a list. */
typedef struct {
    size_t parent, next; /* numbers of nodes: in what it is; of those whose names fall together */
    const unsigned char *name; /* its own; NULL: the elements */
    size_t name_size;
    unsigned step; /* 0: an attribute */
    uint64_t map;  /* the number of the map in which it was seen last */
    uint64_t types[TAGS];
    Figures *figures; /* of an attribute */
} Node;

/* What a line has of an attribute. */
typedef struct {
    size_t node;
    unsigned tag;
    Text text;        /* of a string what it means; of a set its content as it stands */
    int64_t size;     /* members, elements or bytes */
    int depth;        /* maps and lists in each other */
    bool is_of_uuids; /* of an SS: whether all are */
    Look look;
    Number number;
} Found;

typedef struct {
    size_t node;
    unsigned tag;
} Seen;

typedef struct {
    PyObject_HEAD
    bool has_evidence;
    Node *nodes; /* number 0 is the item */
    size_t node_count;
    size_t buckets[NODE_BUCKETS];
    uint64_t maps;
    Row found, seen, text; /* of the line that is looked at */
    uint64_t lines;
    Extent line_bytes;
} SoundStatistics;

/* -- names ----------------------------------------------------------------------------------------------------------------------------- */

static size_t node_bucket(size_t parent, Text name) {
    size_t hash = parent * 31 + name.size * 7;
    if (name.size > 0) hash += name.bytes[0] * 3u + name.bytes[name.size / 2] * 5u + name.bytes[name.size - 1] * 131u;
    return hash % NODE_BUCKETS;
}

static bool is_named(const Node *node, Text name) {
    if ((node->name == NULL) != (name.bytes == NULL) || node->name_size != name.size) return false;
    return name.size == 0 || memcmp(node->name, name.bytes, name.size) == 0;
}

static Outcome no_memory(void) {
    PyErr_NoMemory();
    return FAILED;
}

static Outcome add_node(SoundStatistics *self, size_t parent, Text name, size_t bucket) {
    Node *node = &self->nodes[self->node_count];
    if (self->node_count == MOST_NODES || name.size > MOST_NAME) return NOT_SURE;
    *node = (Node){.parent = parent, .next = self->buckets[bucket], .step = parent ? self->nodes[parent].step + 1 : 0};
    if (name.bytes != NULL) {
        unsigned char *copy = PyMem_Malloc(name.size + 1);
        if (copy == NULL) return no_memory();
        memcpy(copy, name.bytes, name.size);
        node->name = copy;
        node->name_size = name.size;
    }
    if (parent == 0) {
        node->figures = PyMem_Calloc(1, sizeof(Figures));
        if (node->figures == NULL) {
            PyMem_Free((void *)node->name);
            return no_memory();
        }
    }
    self->buckets[bucket] = self->node_count++;
    return DONE;
}

/* The attribute, or the place, of a name in the item or at a place; without bytes of a list's elements. */
static Outcome find_node(SoundStatistics *self, size_t parent, Text name, size_t *number) {
    size_t bucket = node_bucket(parent, name);
    for (*number = self->buckets[bucket]; *number != 0; *number = self->nodes[*number].next) {
        const Node *node = &self->nodes[*number];
        if (node->parent == parent && is_named(node, name)) return DONE;
    }
    TRY(add_node(self, parent, name, bucket));
    *number = self->buckets[bucket];
    return DONE;
}

/* -- inside of maps and lists ---------------------------------------------------------------------------------------------------------- */

/* Where a value is: at a place that is kept, or (0) not; in how many maps and lists; the deepest of all inside it. */
typedef struct {
    size_t node;
    int depth;
    int *deepest;
} Where;

static Outcome read_value(SoundStatistics *self, Reader *reader, Where where);

static Outcome read_strings(Reader *reader, int64_t *members) {
    *members = 0;
    TRY(expect(reader, '['));
    if (take(reader, ']')) return DONE;
    do {
        TRY(skip_string(reader));
        ++*members;
    } while (take(reader, ','));
    return expect(reader, ']');
}

static bool has_places(const SoundStatistics *self, size_t node) { return node != 0 && self->nodes[node].step < STEPS; }

/* A name comes twice in one map where it was seen in it already. */
static Outcome find_member(SoundStatistics *self, size_t node, Text name, uint64_t map, size_t *member) {
    TRY(find_node(self, node, name, member));
    if (self->nodes[*member].map == map) return NOT_SURE;
    self->nodes[*member].map = map;
    return DONE;
}

/* A map whose members' places are not kept: each name is compared with those before it, if one of them is much like it. */
static Outcome read_unkept_map(SoundStatistics *self, Reader *reader, Where where, int64_t *members) {
    Text names[MOST_MEMBERS];
    uint64_t signs = 0;
    do {
        Text name;
        if (*members == MOST_MEMBERS) return NOT_SURE;
        TRY(read_name(reader, &name));
        TRY(expect(reader, ':'));
        uint64_t sign = 1ull << (name.size == 0 ? 0 : (name.size * 7u + name.bytes[0] * 3u + name.bytes[name.size - 1]) % 64);
        for (int64_t other = 0; signs & sign && other < *members; other++) {
            if (names[other].size == name.size && memcmp(names[other].bytes, name.bytes, name.size) == 0) return NOT_SURE;
        }
        signs |= sign;
        names[(*members)++] = name;
        TRY(read_value(self, reader, where));
    } while (take(reader, ','));
    return expect(reader, '}');
}

static Outcome read_map(SoundStatistics *self, Reader *reader, Where where, int64_t *members) {
    const size_t node = where.node;
    *members = 0;
    if (++where.depth > MOST_NESTING) return NOT_SURE;
    if (where.depth > *where.deepest) *where.deepest = where.depth;
    TRY(expect(reader, '{'));
    if (take(reader, '}')) return DONE;
    if (!has_places(self, node)) {
        where.node = 0;
        return read_unkept_map(self, reader, where, members);
    }
    const uint64_t map = ++self->maps;
    do {
        Text name;
        TRY(read_name(reader, &name));
        TRY(expect(reader, ':'));
        TRY(find_member(self, node, name, map, &where.node));
        TRY(read_value(self, reader, where));
        ++*members;
    } while (take(reader, ','));
    return expect(reader, '}');
}

static Outcome read_list(SoundStatistics *self, Reader *reader, Where where, int64_t *elements) {
    const size_t node = where.node;
    *elements = 0;
    if (++where.depth > MOST_NESTING) return NOT_SURE;
    if (where.depth > *where.deepest) *where.deepest = where.depth;
    TRY(expect(reader, '['));
    if (take(reader, ']')) return DONE;
    where.node = 0;
    if (has_places(self, node)) TRY(find_node(self, node, (Text){0}, &where.node));
    do {
        TRY(read_value(self, reader, where));
        ++*elements;
    } while (take(reader, ','));
    return expect(reader, ']');
}

/* The content of a value that is no map and no list; false where it is one. */
static Outcome read_boolean(Reader *reader) { return expect_word(reader, "true") == DONE ? DONE : expect_word(reader, "false"); }

static Outcome open_tagged(Reader *reader, unsigned *tag) {
    Text name;
    TRY(open_value(reader, &name));
    unsigned bit = tag_bit(name);
    if (bit == 0) return NOT_SURE;
    *tag = (unsigned)__builtin_ctz(bit);
    return DONE;
}

static Outcome read_value(SoundStatistics *self, Reader *reader, Where where) {
    unsigned tag;
    int64_t size;
    TRY(open_tagged(reader, &tag));
    if (where.node != 0) TRY(put(&self->seen, &(Seen){where.node, tag}, sizeof(Seen)));
    switch (tag) {
        case OF_M: TRY(read_map(self, reader, where, &size)); break;
        case OF_L: TRY(read_list(self, reader, where, &size)); break;
        case OF_BOOL: TRY(read_boolean(reader)); break;
        case OF_NULL: TRY(expect_word(reader, "true")); break;
        case OF_SS:
        case OF_NS:
        case OF_BS: TRY(read_strings(reader, &size)); break;
        default: TRY(skip_string(reader));
    }
    return close_value(reader);
}

/* -- attributes ------------------------------------------------------------------------------------------------------------------------ */

/* A string as it is meant: where it stands, or, where it has escapes, in `text`, which has room for all of the line. */
static Outcome read_text(SoundStatistics *self, Reader *reader, Text *text) {
    Reader begin = *reader;
    if (read_name(reader, text) == DONE) return DONE;
    *reader = begin;
    size_t before = self->text.size;
    TRY(put_string(&self->text, reader, false));
    *text = (Text){self->text.bytes + before, self->text.size - before};
    return DONE;
}

static Outcome read_texts_of_set(Reader *reader, Found *found) {
    unsigned char uuid[16];
    found->is_of_uuids = true;
    TRY(expect(reader, '['));
    if (take(reader, ']')) return DONE;
    do {
        Reader begin = *reader;
        Text text;
        if (read_plain(reader, &text) != DONE) {
            *reader = begin;
            text.size = 0;
            TRY(skip_string(reader));
        }
        /* What has an escape may still mean a UUID. */
        if (text.size == 0 && begin.end - begin.at > 0 && memchr(begin.at, '\\', (size_t)(reader->at - begin.at))) return NOT_SURE;
        found->is_of_uuids = found->is_of_uuids && read_uuid(text, uuid);
        found->size++;
    } while (take(reader, ','));
    return expect(reader, ']');
}

/* Numbers that are surely some; `count` takes them in. */
static Outcome read_numbers_of_set(Reader *reader, Found *found, Figures *count) {
    Number number;
    Text text;
    TRY(expect(reader, '['));
    if (take(reader, ']')) return DONE;
    do {
        TRY(read_plain(reader, &text));
        if (!read_number(text, &number)) return NOT_SURE;
        found->size++;
        if (count == NULL) continue;
        bool is_integer = number.is_plain || number.after == 0;
        count->counts[is_integer ? OF_INTEGERS_OF_SETS : OF_FRACTIONS_OF_SETS]++;
        if (is_integer) measure_number(&count->integers_of_sets, &number);
    } while (take(reader, ','));
    return expect(reader, ']');
}

static Outcome read_binary(Reader *reader, Found *found) {
    Text text;
    TRY(read_plain(reader, &text));
    size_t padding = 0;
    for (size_t at = text.size < 2 ? 0 : text.size - 2; at < text.size; at++) padding += text.bytes[at] == '=';
    found->size = (int64_t)(text.size * 3 / 4) - (int64_t)padding;
    return DONE;
}

static Outcome read_content(SoundStatistics *self, Reader *reader, Found *found) {
    Text text;
    const Where where = {found->node, 0, &found->depth};
    switch (found->tag) {
        case OF_S:
            TRY(read_text(self, reader, &found->text));
            return look_at(found->text, &found->look);
        case OF_N:
            TRY(read_plain(reader, &text));
            return read_number(text, &found->number) ? DONE : NOT_SURE;
        case OF_B: return read_binary(reader, found);
        case OF_M: return read_map(self, reader, where, &found->size);
        case OF_L: return read_list(self, reader, where, &found->size);
        case OF_BOOL: return read_boolean(reader);
        case OF_NULL: return expect_word(reader, "true");
        case OF_SS: return read_texts_of_set(reader, found);
        case OF_BS: return read_strings(reader, &found->size);
        default:
            found->text = (Text){reader->at, (size_t)(reader->end - reader->at)};
            return read_numbers_of_set(reader, found, NULL);
    }
}

static Outcome read_attribute(SoundStatistics *self, Reader *reader, size_t node) {
    /* Not cleared: what a tag needs is set for it. */
    TRY(make_room(&self->found, sizeof(Found)));
    Found *found = (Found *)(void *)(self->found.bytes + self->found.size);
    self->found.size += sizeof(Found);
    found->node = node;
    found->size = found->depth = 0;
    TRY(open_tagged(reader, &found->tag));
    TRY(read_content(self, reader, found));
    return close_value(reader);
}

static Outcome read_line(SoundStatistics *self, Reader reader) {
    Text name;
    size_t node;
    self->found.size = self->seen.size = self->text.size = 0;
    TRY(make_room(&self->text, (size_t)(reader.end - reader.at)));
    const uint64_t map = ++self->maps;
    TRY(expect(&reader, '{'));
    TRY(read_plain(&reader, &name));
    if (!is(name, "Item")) return NOT_SURE;
    TRY(expect(&reader, ':'));
    TRY(expect(&reader, '{'));
    if (!take(&reader, '}')) {
        do {
            TRY(read_name(&reader, &name));
            TRY(expect(&reader, ':'));
            TRY(find_member(self, 0, name, map, &node));
            TRY(read_attribute(self, &reader, node));
        } while (take(&reader, ','));
        TRY(expect(&reader, '}'));
    }
    TRY(expect(&reader, '}'));
    skip_space(&reader);
    return reader.at == reader.end ? DONE : NOT_SURE;
}

/* -- counting -------------------------------------------------------------------------------------------------------------------------- */

static void give_up_texts(Figures *figures) {
    figures->has_many_texts = true;
    figures->text_count = 0;
    PyMem_Free(figures->texts);
    figures->texts = NULL;
}

static Outcome count_text(Figures *figures, Text text, size_t characters) {
    if (figures->has_many_texts) return DONE;
    for (size_t index = 0; index < figures->text_count; index++) {
        Known *known = &figures->texts[index];
        if (known->size != text.size || memcmp(known->bytes, text.bytes, text.size) != 0) continue;
        known->count++;
        return DONE;
    }
    if (characters > MOST_CHARACTERS || figures->text_count == MOST_TEXTS) {
        give_up_texts(figures);
        return DONE;
    }
    if (figures->texts == NULL) figures->texts = PyMem_New(Known, MOST_TEXTS);
    if (figures->texts == NULL) return no_memory();
    Known *known = &figures->texts[figures->text_count++];
    known->count = 1;
    known->size = text.size;
    memcpy(known->bytes, text.bytes, text.size);
    return DONE;
}

static Outcome count_string(SoundStatistics *self, Figures *figures, const Found *found) {
    const Look *look = &found->look;
    figures->counts[OTHER_COUNTS + look->shape]++;
    measure(&figures->extents[CHARACTERS], (int64_t)look->characters);
    measure(&figures->extents[UTF8_BYTES], (int64_t)found->text.size);
    if (!self->has_evidence) return DONE;
    if (look->form != NO_FORM) figures->counts[OF_DATES + look->form - FORM_DATE]++;
    figures->counts[OF_OUT_OF_BOUNDS] += look->is_out_of_bounds;
    if (look->digits != NO_NUMBER) figures->counts[OF_INTEGERS + look->digits - JSON_INTEGER]++;
    return count_text(figures, found->text, look->characters);
}

static void count_number(Figures *figures, const Number *number) {
    uint64_t *counts = figures->counts;
    counts[OF_VALID]++;
    measure(&figures->extents[BEFORE_POINT], number->before);
    measure(&figures->extents[SIGNIFICANT], number->significant);
    measure_number(&figures->numbers, number);
    if (number->unit > 0) counts[OF_SECONDS + number->unit - 1]++;
    if (number->is_plain) return;
    counts[OF_NON_CANONICAL] += !number->is_canonical;
    counts[OF_ZEROS] += number->significant == 0;
    counts[OF_NEGATIVE] += number->significant > 0 && number->decimal.is_negative;
    counts[OF_FRACTIONAL] += number->after > 0;
    measure(&figures->extents[AFTER_POINT], number->after);
}

static Outcome count_attribute(SoundStatistics *self, const Found *found) {
    Node *node = &self->nodes[found->node];
    Figures *figures = node->figures;
    Found again = {0};
    Reader members = {found->text.bytes, found->text.bytes + found->text.size};
    node->types[found->tag]++;
    switch (found->tag) {
        case OF_S: return count_string(self, figures, found);
        case OF_N: count_number(figures, &found->number); break;
        case OF_B: measure(&figures->extents[BINARY_BYTES], found->size); break;
        case OF_M:
        case OF_L:
            measure(&figures->extents[found->tag == OF_M ? MAP_MEMBERS : LIST_ELEMENTS], found->size);
            measure(&figures->extents[DEPTH], found->depth);
            break;
        case OF_SS:
        case OF_NS:
        case OF_BS:
            measure(&figures->extents[SET_MEMBERS], found->size);
            if (!self->has_evidence) break;
            if (found->tag == OF_SS) figures->counts[found->is_of_uuids ? OF_SETS_OF_UUIDS : OF_SETS_OF_TEXTS]++;
            if (found->tag == OF_NS) TRY(read_numbers_of_set(&members, &again, figures));
            break;
        default: break;
    }
    return DONE;
}

static Outcome count_line(SoundStatistics *self, Text line) {
    TRY(read_line(self, (Reader){line.bytes, line.bytes + line.size}));
    self->lines++;
    measure(&self->line_bytes, (int64_t)line.size);
    const Seen *seen = (const Seen *)(const void *)self->seen.bytes;
    for (size_t index = 0; index < self->seen.size / sizeof(Seen); index++) self->nodes[seen[index].node].types[seen[index].tag]++;
    const Found *found = (const Found *)(const void *)self->found.bytes;
    for (size_t index = 0; index < self->found.size / sizeof(Found); index++) TRY(count_attribute(self, &found[index]));
    return DONE;
}

static PyObject *add_lines(PyObject *object, PyObject *lines) {
    SoundStatistics *self = (SoundStatistics *)object;
    if (!PyList_CheckExact(lines) || self->nodes == NULL) {
        PyErr_SetString(PyExc_TypeError, "add_lines takes a list of lines (bytes)");
        return NULL;
    }
    PyObject *unsure = PyList_New(0);
    for (Py_ssize_t index = 0; unsure != NULL && index < PyList_GET_SIZE(lines); index++) {
        PyObject *line = PyList_GET_ITEM(lines, index);
        Outcome outcome = NOT_SURE;
        if (PyBytes_CheckExact(line)) {
            outcome = count_line(self, (Text){(const unsigned char *)PyBytes_AS_STRING(line), (size_t)PyBytes_GET_SIZE(line)});
        }
        if (outcome == FAILED || (outcome == NOT_SURE && PyList_Append(unsure, line))) Py_CLEAR(unsure);
    }
    return unsure;
}

/* -- what was counted ------------------------------------------------------------------------------------------------------------------ */

/* Add a new object to a list; false with an exception where that cannot be. */
static bool append(PyObject *list, PyObject *made) {
    bool is_added = made != NULL && PyList_Append(list, made) == 0;
    Py_XDECREF(made);
    return is_added;
}

static bool append_extent(PyObject *list, const char *name, const Extent *extent) {
    if (!extent->is_known) return true;
    return append(list, Py_BuildValue("sL", name, (long long)extent->least)) && append(list, Py_BuildValue("sL", name, (long long)extent->greatest));
}

/* -123E-2 */
static bool append_decimal(PyObject *list, const char *name, const Decimal *decimal) {
    char digits[MOST_DIGITS + 1] = {0};
    for (int index = 0; index < decimal->count; index++) digits[index] = (char)('0' + decimal->digits[index]);
    PyObject *text = PyUnicode_FromFormat("%s%sE%d", decimal->is_negative ? "-" : "", digits, decimal->exponent);
    return append(list, text == NULL ? NULL : Py_BuildValue("sN", name, text));
}

static bool append_extremes(PyObject *list, const char *name, const Extremes *extremes) {
    const Extent whole = {extremes->has_whole, extremes->least, extremes->greatest};
    if (!append_extent(list, name, &whole)) return false;
    if (!extremes->has_decimal) return true;
    return append_decimal(list, name, &extremes->least_decimal) && append_decimal(list, name, &extremes->greatest_decimal);
}

static bool fill_figures(const Figures *figures, PyObject *counts, PyObject *sizes, PyObject *texts) {
    for (size_t index = 0; index < COUNTS; index++) {
        if (figures->counts[index] == 0) continue;
        if (!append(counts, Py_BuildValue("ssK", COUNT_NAMES[index].group, COUNT_NAMES[index].key, (unsigned long long)figures->counts[index]))) return false;
    }
    for (size_t index = 0; index < EXTENTS; index++) {
        if (!append_extent(sizes, EXTENT_NAMES[index], &figures->extents[index])) return false;
    }
    for (size_t index = 0; index < figures->text_count; index++) {
        const Known *known = &figures->texts[index];
        if (!append(texts, Py_BuildValue("s#K", (const char *)known->bytes, (Py_ssize_t)known->size, (unsigned long long)known->count))) return false;
    }
    return append_extremes(sizes, "number", &figures->numbers) && append_extremes(sizes, "integer_of_sets", &figures->integers_of_sets);
}

static PyObject *figures_of(const Figures *figures) {
    if (figures == NULL) return Py_NewRef(Py_None);
    PyObject *counts = PyList_New(0), *sizes = PyList_New(0), *texts = PyList_New(0), *made = NULL;
    if (counts != NULL && sizes != NULL && texts != NULL && fill_figures(figures, counts, sizes, texts)) {
        made = PyTuple_Pack(4, counts, sizes, texts, figures->has_many_texts ? Py_True : Py_False);
    }
    Py_XDECREF(counts);
    Py_XDECREF(sizes);
    Py_XDECREF(texts);
    return made;
}

static PyObject *node_of(const Node *node) {
    PyObject *types = PyList_New(0);
    for (size_t tag = 0; types != NULL && tag < TAGS; tag++) {
        if (node->types[tag] == 0) continue;
        if (!append(types, Py_BuildValue("sK", TAG_NAMES[tag], (unsigned long long)node->types[tag]))) Py_CLEAR(types);
    }
    if (types == NULL) return NULL;
    return Py_BuildValue("nz#NN", (Py_ssize_t)node->parent, (const char *)node->name, (Py_ssize_t)node->name_size, types, figures_of(node->figures));
}

static void forget(SoundStatistics *self) {
    for (size_t number = 1; number < self->node_count; number++) {
        Node *node = &self->nodes[number];
        if (node->figures != NULL) PyMem_Free(node->figures->texts);
        PyMem_Free(node->figures);
        PyMem_Free((void *)node->name);
    }
    memset(self->buckets, 0, sizeof self->buckets);
    self->node_count = 1;
    self->lines = 0;
    self->line_bytes = (Extent){0};
}

static PyObject *take_counted(PyObject *object, PyObject *nothing) {
    SoundStatistics *self = (SoundStatistics *)object;
    (void)nothing;
    PyObject *nodes = PyList_New(0), *sizes = PyList_New(0), *made = NULL;
    bool is_filled = nodes != NULL && sizes != NULL && append_extent(sizes, "line_bytes", &self->line_bytes);
    for (size_t number = 1; is_filled && number < self->node_count; number++) is_filled = append(nodes, node_of(&self->nodes[number]));
    if (is_filled) made = Py_BuildValue("KOO", (unsigned long long)self->lines, sizes, nodes);
    Py_XDECREF(nodes);
    Py_XDECREF(sizes);
    if (made != NULL) forget(self);
    return made;
}

/* -- the Python type ------------------------------------------------------------------------------------------------------------------- */

static PyObject *make(PyTypeObject *type, PyObject *arguments, PyObject *names) {
    int has_evidence;
    (void)names;
    if (!PyArg_ParseTuple(arguments, "p:SoundStatistics", &has_evidence)) return NULL;
    SoundStatistics *self = (SoundStatistics *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->has_evidence = has_evidence;
    self->node_count = 1;
    self->nodes = PyMem_Calloc(MOST_NODES, sizeof(Node));
    if (self->nodes != NULL) return (PyObject *)self;
    Py_DECREF(self);
    return PyErr_NoMemory();
}

static void deallocate(PyObject *object) {
    SoundStatistics *self = (SoundStatistics *)object;
    forget(self);
    PyMem_Free(self->nodes);
    PyMem_Free(self->found.bytes);
    PyMem_Free(self->seen.bytes);
    PyMem_Free(self->text.bytes);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *is_full(PyObject *object, void *nothing) {
    (void)nothing;
    return PyBool_FromLong(((SoundStatistics *)object)->node_count == MOST_NODES);
}

static PyMethodDef methods[] = {
    {"add_lines", add_lines, METH_O, "Count lines; gives those that were not."},
    {"take_counted", take_counted, METH_NOARGS, "What was counted, and begin anew."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"is_full", is_full, NULL, "Whether there is no room for another name.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject SoundStatisticsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "transforms.native.sound_rows.SoundStatistics",
    .tp_doc = "What is in the sound items of many lines; see sound_rows.pyi.",
    .tp_basicsize = sizeof(SoundStatistics),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = make,
    .tp_dealloc = deallocate,
    .tp_methods = methods,
    .tp_getset = properties,
};
