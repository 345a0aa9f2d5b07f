/* What is in the items of many lines, counted: for each attribute, and each place inside of maps and lists, how many values have which type,
   and of attributes what their values look like. `pipeline/inspection/statistics.py` is the same in Python, and takes in what is counted
   here as it takes in what another process has counted.

   A line is looked at as a whole before any of it is counted: one that is not surely a sound item, written as DynamoDB writes them, counts
   as nothing here and is for Python. So are names that are long or escaped, and lines with more names than there is room for. */

#include "statistics.h"

#include "figures.h"
#include "kinds.h"
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
/* Kinds of items, and one for those that have none. */
#define MOST_TABLES 31
#define MOST_KEYS 8

/* An attribute, or a place inside of one: a member of a map, or the elements of a list. */
typedef struct {
    size_t parent, next; /* numbers of nodes: in what it is; of those whose names fall together */
    const unsigned char *name; /* its own; NULL: the elements */
    size_t name_size;
    unsigned step; /* 0: an attribute */
    uint64_t map;  /* the number of the map in which it was seen last */
    uint64_t types[TAGS];
    Figures *figures; /* of an attribute */
    Py_ssize_t watched; /* its number among those that are watched, or -1 */
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

/* The items of one kind. */
typedef struct {
    Row kind; /* its name; empty where no kinds are told apart, and of items that have none */
    KindPlan plan;
    uint64_t items;
    Node *nodes; /* number 0 is the item */
    size_t node_count;
    size_t buckets[NODE_BUCKETS];
} Table;

/* What could be the key: the attributes, by their numbers among those that are watched; and a digest of each item's. */
typedef struct {
    Py_ssize_t watched[MOST_NAMES];
    size_t count;
    Row digests;
} Key;

typedef struct {
    PyObject_HEAD
    bool has_evidence;
    PyObject *names, *plans; /* the attributes that are watched, a tuple of bytes; a dict of what is looked for, by kind (bytes) */
    Py_ssize_t by[MOST_NAMES]; /* the watched attributes that tell kinds apart */
    size_t by_count, table_count, key_count;
    int is_by_prefix;
    Table *tables[MOST_TABLES];
    Table *table; /* that of the line that is looked at */
    Key keys[MOST_KEYS];
    uint64_t maps;
    Row found, seen, text, kind; /* of that line */
    Watched watched[MOST_WATCHED];
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

/* The number of an attribute among those that are watched, or -1. */
static Py_ssize_t find_watched(const SoundStatistics *self, Text name) {
    for (Py_ssize_t number = PyTuple_GET_SIZE(self->names) - 1; number >= 0; number--) {
        PyObject *watched = PyTuple_GET_ITEM(self->names, number);
        if ((size_t)PyBytes_GET_SIZE(watched) == name.size && memcmp(PyBytes_AS_STRING(watched), name.bytes, name.size) == 0) return number;
    }
    return -1;
}

static Outcome add_node(SoundStatistics *self, size_t parent, Text name, size_t bucket) {
    Node *node = &self->table->nodes[self->table->node_count];
    if (self->table->node_count == MOST_NODES || name.size > MOST_NAME) return NOT_SURE;
    *node = (Node){.parent = parent, .next = self->table->buckets[bucket], .step = parent ? self->table->nodes[parent].step + 1 : 0};
    if (name.bytes != NULL) {
        unsigned char *copy = PyMem_Malloc(name.size + 1);
        if (copy == NULL) return no_memory();
        memcpy(copy, name.bytes, name.size);
        node->name = copy;
        node->name_size = name.size;
    }
    if (parent == 0) {
        node->watched = find_watched(self, name);
        node->figures = PyMem_Calloc(1, sizeof(Figures));
        if (node->figures == NULL) {
            PyMem_Free((void *)node->name);
            return no_memory();
        }
    }
    self->table->buckets[bucket] = self->table->node_count++;
    return DONE;
}

/* The attribute, or the place, of a name in the item or at a place; without bytes of a list's elements. */
static Outcome find_node(SoundStatistics *self, size_t parent, Text name, size_t *number) {
    size_t bucket = node_bucket(parent, name);
    for (*number = self->table->buckets[bucket]; *number != 0; *number = self->table->nodes[*number].next) {
        const Node *node = &self->table->nodes[*number];
        if (node->parent == parent && is_named(node, name)) return DONE;
    }
    TRY(add_node(self, parent, name, bucket));
    *number = self->table->buckets[bucket];
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

static bool has_places(const SoundStatistics *self, size_t node) { return node != 0 && self->table->nodes[node].step < STEPS; }

/* A name comes twice in one map where it was seen in it already. */
static Outcome find_member(SoundStatistics *self, size_t node, Text name, uint64_t map, size_t *member) {
    TRY(find_node(self, node, name, member));
    if (self->table->nodes[*member].map == map) return NOT_SURE;
    self->table->nodes[*member].map = map;
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
    TRY(read_plain(reader, &found->text));
    const Text text = found->text;
    size_t padding = 0;
    for (size_t at = text.size < 2 ? 0 : text.size - 2; at < text.size; at++) padding += text.bytes[at] == '=';
    found->size = (int64_t)(text.size * 3 / 4) - (int64_t)padding;
    return DONE;
}

static Outcome read_content(SoundStatistics *self, Reader *reader, Found *found) {
    const Where where = {found->node, 0, &found->depth};
    switch (found->tag) {
        case OF_S:
            TRY(read_text(self, reader, &found->text));
            return look_at(found->text, &found->look);
        case OF_N:
            TRY(read_plain(reader, &found->text));
            return read_number(found->text, &found->number) ? DONE : NOT_SURE;
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
    const Py_ssize_t watched = self->table->nodes[node].watched;
    if (watched >= 0 && found->tag <= OF_B) self->watched[watched] = (Watched){TAG_NAMES[found->tag][0], found->text};
    return close_value(reader);
}

static Outcome open_item(Reader *reader) {
    Text name;
    TRY(expect(reader, '{'));
    TRY(read_plain(reader, &name));
    return is(name, "Item") ? expect(reader, ':') : NOT_SURE;
}

static Outcome read_line(SoundStatistics *self, Reader reader) {
    Text name;
    size_t node;
    const uint64_t map = ++self->maps;
    TRY(open_item(&reader));
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
    return reader.at == reader.end ? look_at_parts(&self->table->plan, self->watched) : NOT_SURE;
}

/* -- kinds ----------------------------------------------------------------------------------------------------------------------------- */

static void free_table(Table *table);

static Outcome add_table(SoundStatistics *self, Text kind) {
    if (self->table_count == MOST_TABLES) return NOT_SURE;
    Table *table = PyMem_Calloc(1, sizeof(Table));
    if (table == NULL) return no_memory();
    table->node_count = 1;
    table->nodes = PyMem_Calloc(MOST_NODES, sizeof(Node));
    PyObject *name = table->nodes ? PyBytes_FromStringAndSize((const char *)kind.bytes, (Py_ssize_t)kind.size) : PyErr_NoMemory();
    PyObject *plan = name && self->plans ? PyDict_GetItemWithError(self->plans, name) : NULL;
    bool is_made = name && !PyErr_Occurred() && !take_kind_plan(plan, PyTuple_GET_SIZE(self->names), &table->plan) &&
                   make_room(&table->kind, 1) == DONE && put(&table->kind, kind.bytes, kind.size) == DONE;
    Py_XDECREF(name);
    if (!is_made) {
        free_table(table);
        return FAILED;
    }
    self->tables[self->table_count++] = table;
    return DONE;
}

static Outcome find_table(SoundStatistics *self, Text kind) {
    for (size_t index = 0; index < self->table_count; index++) {
        Table *table = self->tables[index];
        self->table = table;
        if (table->kind.size == kind.size && (kind.size == 0 || memcmp(table->kind.bytes, kind.bytes, kind.size) == 0)) return DONE;
    }
    TRY(add_table(self, kind));
    self->table = self->tables[self->table_count - 1];
    return DONE;
}

/* The strings that tell which kind the item is of. Whether the rest of it is sound is seen when it is read. */
static Outcome find_texts_of_kind(SoundStatistics *self, Reader *reader, Text *texts) {
    TRY(open_item(reader));
    TRY(expect(reader, '{'));
    if (take(reader, '}')) return DONE;
    do {
        Text name, tag;
        size_t index = 0;
        TRY(read_name(reader, &name));
        TRY(expect(reader, ':'));
        const Py_ssize_t watched = find_watched(self, name);
        while (index < self->by_count && self->by[index] != watched) index++;
        const Reader begin = *reader;
        if (index < self->by_count) {
            TRY(open_value(reader, &tag));
            if (is(tag, "S")) TRY(read_text(self, reader, &texts[index]));
            *reader = begin;
        }
        TRY(skip_value(reader));
    } while (take(reader, ','));
    return DONE;
}

static Outcome find_kind(SoundStatistics *self, Reader line) {
    Text texts[MOST_NAMES] = {{0}};
    TRY(make_room(&self->kind, 1));
    if (self->by_count > 0) TRY(find_texts_of_kind(self, &line, texts));
    if (self->by_count > 0) TRY(put_kind(&self->kind, texts, self->by_count, self->is_by_prefix));
    return find_table(self, (Text){self->kind.bytes, self->kind.size});
}

static Outcome count_keys(SoundStatistics *self) {
    for (size_t index = 0; index < self->key_count; index++) {
        Key *key = &self->keys[index];
        Text texts[MOST_NAMES];
        unsigned char digest[8];
        bool is_whole = true;
        for (size_t name = 0; name < key->count; name++) {
            const Watched *watched = &self->watched[key->watched[name]];
            is_whole = is_whole && watched->tag != 0;
            texts[name] = watched->text;
        }
        if (!is_whole) continue;
        hash_key(texts, key->count, digest);
        TRY(put(&key->digests, digest, sizeof digest));
    }
    return DONE;
}

/* -- counting -------------------------------------------------------------------------------------------------------------------------- */

static Outcome count_attribute(SoundStatistics *self, const Found *found) {
    Node *node = &self->table->nodes[found->node];
    Figures *figures = node->figures;
    Found again = {0};
    Reader members = {found->text.bytes, found->text.bytes + found->text.size};
    node->types[found->tag]++;
    switch (found->tag) {
        case OF_S: return count_string(figures, found->text, &found->look, self->has_evidence);
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
    const Reader reader = {line.bytes, line.bytes + line.size};
    self->found.size = self->seen.size = self->text.size = 0;
    /* Of what tells the kind, and again of all. */
    TRY(make_room(&self->text, 2 * line.size));
    memset(self->watched, 0, (size_t)PyTuple_GET_SIZE(self->names) * sizeof(Watched));
    TRY(find_kind(self, reader));
    TRY(read_line(self, reader));
    self->lines++;
    self->table->items++;
    measure(&self->line_bytes, (int64_t)line.size);
    const Seen *seen = (const Seen *)(const void *)self->seen.bytes;
    for (size_t index = 0; index < self->seen.size / sizeof(Seen); index++) self->table->nodes[seen[index].node].types[seen[index].tag]++;
    const Found *found = (const Found *)(const void *)self->found.bytes;
    for (size_t index = 0; index < self->found.size / sizeof(Found); index++) TRY(count_attribute(self, &found[index]));
    TRY(count_parts(&self->table->plan, self->watched, self->has_evidence));
    return count_keys(self);
}

static PyObject *add_lines(PyObject *object, PyObject *lines) {
    SoundStatistics *self = (SoundStatistics *)object;
    if (!PyList_CheckExact(lines)) {
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

static PyObject *node_of(const Node *node) {
    PyObject *types = PyList_New(0);
    for (size_t tag = 0; types != NULL && tag < TAGS; tag++) {
        if (node->types[tag] == 0) continue;
        if (!append(types, Py_BuildValue("sK", TAG_NAMES[tag], (unsigned long long)node->types[tag]))) Py_CLEAR(types);
    }
    if (types == NULL) return NULL;
    return Py_BuildValue("nz#NN", (Py_ssize_t)node->parent, (const char *)node->name, (Py_ssize_t)node->name_size, types, figures_of(node->figures));
}

static PyObject *take_table(Table *table) {
    PyObject *nodes = PyList_New(0), *parts = NULL;
    for (size_t number = 1; nodes != NULL && number < table->node_count; number++) {
        if (!append(nodes, node_of(&table->nodes[number]))) Py_CLEAR(nodes);
    }
    if (nodes != NULL) parts = take_parts(&table->plan);
    if (parts == NULL) {
        Py_XDECREF(nodes);
        return NULL;
    }
    return Py_BuildValue("s#KNN", (const char *)table->kind.bytes, (Py_ssize_t)table->kind.size, (unsigned long long)table->items, nodes, parts);
}

static void forget_nodes(Table *table) {
    for (size_t number = 1; number < table->node_count; number++) {
        free_figures(table->nodes[number].figures);
        PyMem_Free((void *)table->nodes[number].name);
    }
    memset(table->buckets, 0, sizeof table->buckets);
    table->node_count = 1;
    table->items = 0;
}

static void free_table(Table *table) {
    forget_nodes(table);
    free_kind_plan(&table->plan);
    PyMem_Free(table->kind.bytes);
    PyMem_Free(table->nodes);
    PyMem_Free(table);
}

static PyObject *take_counted(PyObject *object, PyObject *nothing) {
    SoundStatistics *self = (SoundStatistics *)object;
    (void)nothing;
    PyObject *tables = PyList_New(0), *sizes = PyList_New(0), *made = NULL;
    bool is_filled = tables != NULL && sizes != NULL && append_extent(sizes, "line_bytes", &self->line_bytes);
    for (size_t index = 0; is_filled && index < self->table_count; index++) is_filled = append(tables, take_table(self->tables[index]));
    if (is_filled) made = Py_BuildValue("KOO", (unsigned long long)self->lines, sizes, tables);
    Py_XDECREF(tables);
    Py_XDECREF(sizes);
    if (made == NULL) return NULL;
    for (size_t index = 0; index < self->table_count; index++) forget_nodes(self->tables[index]);
    self->lines = 0;
    self->line_bytes = (Extent){0};
    return made;
}

static PyObject *take_digests(PyObject *object, PyObject *nothing) {
    SoundStatistics *self = (SoundStatistics *)object;
    (void)nothing;
    PyObject *keys = PyList_New(0);
    for (size_t index = 0; keys != NULL && index < self->key_count; index++) {
        Row *digests = &self->keys[index].digests;
        if (!append(keys, PyBytes_FromStringAndSize((const char *)digests->bytes, (Py_ssize_t)digests->size))) Py_CLEAR(keys);
        digests->size = 0;
    }
    return keys;
}

/* -- the Python type ------------------------------------------------------------------------------------------------------------------- */

/* Numbers of watched attributes, at most so many. */
static bool take_numbers(PyObject *tuple, Py_ssize_t watched, Py_ssize_t *numbers, size_t *count) {
    if (!PyTuple_CheckExact(tuple) || PyTuple_GET_SIZE(tuple) > MOST_NAMES) return false;
    for (*count = 0; *count < (size_t)PyTuple_GET_SIZE(tuple); ++*count) {
        Py_ssize_t number = PyLong_AsSsize_t(PyTuple_GET_ITEM(tuple, (Py_ssize_t)*count));
        if (number < 0 || number >= watched) return false;
        numbers[*count] = number;
    }
    return true;
}

static bool take_keys(SoundStatistics *self, PyObject *keys, Py_ssize_t watched) {
    if (PyTuple_GET_SIZE(keys) > MOST_KEYS) return false;
    for (; self->key_count < (size_t)PyTuple_GET_SIZE(keys); self->key_count++) {
        Key *key = &self->keys[self->key_count];
        if (!take_numbers(PyTuple_GET_ITEM(keys, (Py_ssize_t)self->key_count), watched, key->watched, &key->count)) return false;
    }
    return true;
}

static bool are_names(PyObject *names) {
    if (PyTuple_GET_SIZE(names) > MOST_WATCHED) return false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(names, index))) return false;
    }
    return true;
}

/* Whether all that is looked for can be. */
static bool are_plans(PyObject *plans, Py_ssize_t watched) {
    PyObject *kind, *described;
    Py_ssize_t place = 0;
    while (PyDict_Next(plans, &place, &kind, &described)) {
        KindPlan plan;
        bool is_sound = PyBytes_CheckExact(kind) && !take_kind_plan(described, watched, &plan);
        if (PyBytes_CheckExact(kind)) free_kind_plan(&plan);
        if (!is_sound) return false;
    }
    return true;
}

static bool take_arguments(SoundStatistics *self, PyObject *arguments) {
    PyObject *names, *by, *keys, *plans;
    int has_evidence;
    if (!PyArg_ParseTuple(arguments, "pO!O!pO!O!:SoundStatistics", &has_evidence, &PyTuple_Type, &names, &PyTuple_Type, &by, &self->is_by_prefix,
                          &PyTuple_Type, &keys, &PyDict_Type, &plans)) return false;
    self->has_evidence = has_evidence;
    self->names = Py_NewRef(names);
    /* A dict of our own, as patterns borrow their literals from what is in it. */
    self->plans = PyDict_Copy(plans);
    if (self->plans == NULL) return false;
    Py_ssize_t watched = PyTuple_GET_SIZE(names);
    bool is_taken = are_names(names) && take_numbers(by, watched, self->by, &self->by_count) && take_keys(self, keys, watched) &&
                    are_plans(self->plans, watched);
    if (!is_taken && !PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "no such attributes");
    return is_taken;
}

static PyObject *make(PyTypeObject *type, PyObject *arguments, PyObject *names) {
    (void)names;
    SoundStatistics *self = (SoundStatistics *)type->tp_alloc(type, 0);
    if (self == NULL || take_arguments(self, arguments)) return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static void deallocate(PyObject *object) {
    SoundStatistics *self = (SoundStatistics *)object;
    for (size_t index = 0; index < self->table_count; index++) free_table(self->tables[index]);
    for (size_t index = 0; index < MOST_KEYS; index++) PyMem_Free(self->keys[index].digests.bytes);
    PyMem_Free(self->found.bytes);
    PyMem_Free(self->seen.bytes);
    PyMem_Free(self->text.bytes);
    PyMem_Free(self->kind.bytes);
    Py_XDECREF(self->names);
    Py_XDECREF(self->plans);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *is_full(PyObject *object, void *nothing) {
    const SoundStatistics *self = (SoundStatistics *)object;
    (void)nothing;
    for (size_t index = 0; index < self->table_count; index++) {
        if (self->tables[index]->node_count == MOST_NODES) Py_RETURN_TRUE;
    }
    Py_RETURN_FALSE;
}

static PyMethodDef methods[] = {
    {"add_lines", add_lines, METH_O, "Count lines; gives those that were not."},
    {"take_digests", take_digests, METH_NOARGS, "Of each key the digests of the items that have it."},
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
