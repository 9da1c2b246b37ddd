-- employments: :rows rows of 20 columns, of which one tenant owns half, most of them in the middle.
-- Everything is made from the rows' numbers; two builds hold the same values.

DROP TABLE IF EXISTS employments;

CREATE UNLOGGED TABLE employments (
    id bigint PRIMARY KEY,
    tenant text NOT NULL,
    person uuid NOT NULL,
    number varchar(12) NOT NULL,
    full_name text NOT NULL,
    email text NOT NULL,
    job_title text,
    department integer NOT NULL,
    salary numeric(12,2) NOT NULL,
    allowance numeric,
    rate numeric(38,10) NOT NULL,
    hours double precision NOT NULL,
    started_on date NOT NULL,
    ended_on date,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    cost_centre char(6) NOT NULL,
    remarks text,
    attributes jsonb NOT NULL
) WITH (autovacuum_enabled = off);

INSERT INTO employments
SELECT n,
       CASE WHEN (n > :rows / 4 AND n <= :rows / 8 * 5) OR (n > :rows / 4 * 3 AND n % 2 = 0)
            THEN 'northwind' ELSE 'tenant-' || h % 37 END,
       md5(n::text)::uuid,
       'E' || lpad(n::text, 9, '0'),
       (ARRAY['Anna Jansen', 'Bram de Vries', 'Chloé O''Brien', 'Dörte Müller', 'Gökhan Şahin',
              'Nguyễn Văn An', 'Vítězslav Novák', 'Xóchitl Núñez', 'محمد العلي', '田中 太郎',
              'Petrov "Petya" Иванов', 'St. John, Jr.'])[1 + h % 12] || ' ' || h % 9973,
       'e' || n || '@example.org',
       CASE h % 16 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'Nurse, "senior"'
                   WHEN 3 THEN 'Αρχιτέκτων' ELSE 'Consultant level ' || h % 7 END,
       h % 400,
       1800 + (h % 900000) / 100.0,
       CASE WHEN h % 5 > 0 THEN round((h % 100003) / 7.0, h % 5) END,
       (h % 1000003) / 7.0,
       (h % 4001) / 64.0,
       date '1985-01-01' + h % 14000,
       CASE WHEN h % 9 = 0 THEN date '2023-01-01' + h % 1000 END,
       h % 9 > 0,
       timestamptz '2010-03-28 00:30:00+00' + n * interval '37.000001 seconds',
       timestamptz '2019-10-27 00:59:59.5+00' + (h % 160000000) * interval '1.000250 seconds',
       lpad((h % 977)::text, 6, '0'),
       CASE h % 8 WHEN 0 THEN NULL WHEN 1 THEN ''
            WHEN 2 THEN E'Says "no", then\nwrites: it''s; fine, ok'
            WHEN 3 THEN E'tab\there, back\\slash, emoji 🏥 and ' || md5(h::text)
            ELSE 'Agreed on ' || h % 28 || ' hours a week; see letter ' || md5(h::text || n) END,
       ('{"grade": "G' || h % 13 || '", "hours": ' || h % 40 || '.50, "remote": '
        || CASE WHEN h % 3 = 0 THEN 'true' ELSE 'false' END || ', "skills": ["söm", "a\"b", null], '
        || '"note": "room ' || h % 512 || '"}')::jsonb
FROM (SELECT n, hashint8(n) & 2147483647 AS h FROM generate_series(1, :rows::bigint) n) numbers;

VACUUM (FREEZE, ANALYZE) employments;

CREATE SCHEMA IF NOT EXISTS bench;
DROP TABLE IF EXISTS bench.made;
CREATE TABLE bench.made AS SELECT :generator::int AS generator, :rows::bigint AS rows;
