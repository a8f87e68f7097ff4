/**
 * A query of the catalogue of a schema, as text: tables with their columns, constraints, indexes and settings. Equal on
 * each version of Postgres and on PGlite, if the schema is equal.
 */
export const catalogue = (schema: string): string =>
  `WITH tables AS (
    SELECT c.oid, c.relname AS name, (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) o) AS options
    FROM pg_class c
    WHERE c.relnamespace = '${schema}'::regnamespace AND c.relkind = 'r'
  ), lines AS (
    SELECT t.name AS "table", 0 AS kind, '' AS name,
      'table ' || t.name || coalesce(' (' || t.options || ')', '') AS line
    FROM tables t
    UNION ALL
    SELECT t.name, 1, to_char(a.attnum, '000'),
      '  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation <> 0 AND l.collname <> 'default' THEN ' collate ' || l.collname ELSE '' END
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM tables t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT t.name, 2, c.conname, '  constraint ' || c.conname || ' ' || pg_get_constraintdef(c.oid)
    FROM tables t
    JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype <> 'n'
    UNION ALL
    SELECT t.name, 3, i.relname, '  ' || pg_get_indexdef(x.indexrelid)
    FROM tables t
    JOIN pg_index x ON x.indrelid = t.oid
    JOIN pg_class i ON i.oid = x.indexrelid
  )
  SELECT string_agg(line, E'\\n' ORDER BY "table" COLLATE "C", kind, name COLLATE "C") || E'\\n' AS catalogue FROM lines`
