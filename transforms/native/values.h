/* Attribute values to fields: UUIDs, bytes, and JSON that is the same to the byte as orjson writes it for `values.py`. */

#pragma once
#include "reader.h"

/* 8-4-4-4-12 hexadecimal ASCII digits, either case. */
bool read_uuid(Text text, unsigned char uuid[16]);

/* The UUID of version 5 of a text in a namespace (RFC 9562, section 5.5). */
void hash_uuid(const unsigned char namespace[16], Text text, unsigned char uuid[16]);

/* The first eight bytes of the SHA-1 of texts with U+0000 between them. */
void hash_key(const Text *texts, size_t count, unsigned char digest[8]);

/* The field of an IPv4 or IPv6 address, perhaps with the bits of its network. */
Outcome put_inet(Row *row, Text text);

/* The bytes of base64 with its padding and nothing else (RFC 4648, section 4). */
Outcome put_base64(Row *row, Text text);

/* JSON of the content of an attribute value with this tag, `nesting` containers deep. */
Outcome put_content(Row *row, Reader *reader, Text tag, int nesting);

/* The same with the type tags, as DynamoDB writes it: of the whole attribute value whose content this is. */
Outcome put_typed(Row *row, Reader *reader, Text tag, int nesting);
