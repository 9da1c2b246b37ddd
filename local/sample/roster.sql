-- The sample's operational database: a duty roster of two organisations in the same tables, of
-- which one owns most. Everything is made from the rows' numbers; two builds hold the same values.

CREATE TYPE shift_kind AS ENUM ('early', 'late', 'night', 'on call');

CREATE TABLE wards (
    id integer PRIMARY KEY,
    tenant_id text NOT NULL,
    name varchar(80) NOT NULL,
    opened_on date NOT NULL,
    beds smallint,
    floor_plan bytea,
    extension char(6),
    location point
);

CREATE TABLE shifts (
    ward_id integer NOT NULL REFERENCES wards,
    starts_at timestamptz NOT NULL,
    employee_id integer NOT NULL,
    tenant_id text NOT NULL,
    kind shift_kind NOT NULL,
    lasts interval NOT NULL,
    hourly_rate numeric(8,4) NOT NULL,
    workload numeric,
    temperature double precision,
    confirmed boolean,
    tags text[] NOT NULL,
    handover jsonb,
    note text,
    changed_at timestamp NOT NULL,
    PRIMARY KEY (ward_id, starts_at, employee_id)
);

CREATE TABLE swaps (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL,
    ward_id integer NOT NULL,
    asked_on date NOT NULL,
    window_of tstzrange,
    request json NOT NULL,
    answered_at time
);

CREATE TABLE training_sessions (
    id integer PRIMARY KEY,
    tenant_id text NOT NULL,
    activity text NOT NULL,
    ward_id integer NOT NULL REFERENCES wards,
    instructor_id integer NOT NULL,
    starts_at timestamptz NOT NULL,
    lasts interval NOT NULL,
    capacity smallint NOT NULL,
    cancelled boolean NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE training_bookings (
    session_id integer NOT NULL REFERENCES training_sessions,
    person_id bigint NOT NULL,
    waiting boolean NOT NULL,
    PRIMARY KEY (session_id, person_id)
);

INSERT INTO wards
SELECT n, CASE WHEN n % 5 < 4 THEN 'northwind-care' ELSE 'harbour-health' END,
       (ARRAY['Cardiology', 'Geriatrics "West"', 'Chirurgie, Süd', '産科', 'Spoedeisende hulp'])[1 + n % 5]
           || ' ' || n,
       date '1964-05-01' + n * 97, nullif(n % 30, 0),
       CASE WHEN n % 4 > 0 THEN decode(md5(n::text), 'hex') END,
       lpad(n::text, 4, '0'), CASE WHEN n % 3 > 0 THEN point(n / 8.0, -n) END
FROM generate_series(1, 60) n;

INSERT INTO shifts
SELECT w.id,
       timestamptz '2023-01-01 05:00:00+00' + (n / 12) * interval '8 hours' + (n % 12) * interval '1 minute',
       1000 + (n * 37 + w.id * 11) % 4000, w.tenant_id,
       (ARRAY['early', 'late', 'night', 'on call'])[1 + (n / 12) % 4]::shift_kind,
       interval '7 hours 30 minutes' + (n % 5) * interval '15 minutes',
       18 + (n % 900) / 37.0,
       CASE n % 97 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' ELSE (n % 1000)::numeric / 8 END,
       36 + (n % 23) / 7.0,
       CASE n % 7 WHEN 0 THEN NULL ELSE n % 7 < 5 END,
       CASE n % 6 WHEN 0 THEN ARRAY[]::text[] WHEN 1 THEN ARRAY['a,b', '"'] ELSE ARRAY['tag' || n % 9] END,
       CASE WHEN n % 4 > 0 THEN jsonb_build_object('patients', n % 40, 'open', jsonb_build_array(n % 3, NULL)) END,
       CASE n % 11 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'two\nlines, "quoted"'
                   WHEN 3 THEN '=SUM(A1)' ELSE 'Übergabe ' || n END,
       timestamp '2023-01-01' + n * interval '97 seconds' + (n % 1000000) * interval '1 microsecond'
FROM wards w, generate_series(1, 5000) n;

INSERT INTO swaps
SELECT md5('swap' || n)::uuid, CASE WHEN n % 3 < 2 THEN 'northwind-care' ELSE 'harbour-health' END,
       1 + n % 60, date '2023-02-01' + n % 700,
       CASE WHEN n % 5 > 0 THEN tstzrange(timestamptz '2023-02-01 00:00:00+00' + n * interval '1 hour', NULL) END,
       format(E'{"from":\n%s, "to": %s, "because": "%s"}', n, n + 1, CASE n % 3 WHEN 0 THEN 'é' ELSE '' END)::json,
       CASE WHEN n % 2 = 0 THEN time '08:00' + (n % 900) * interval '1 minute' END
FROM generate_series(1, 4000) n;

INSERT INTO training_sessions
SELECT n, w.tenant_id,
       (ARRAY['Yoga', 'Reanimatie', 'Vattengympa', 'Lifting, safely', 'Første hjelp'])[1 + n % 5],
       w.id, 1000 + (n * 31) % 4000, timestamptz '2025-01-06 06:30:00+00' + n * interval '3 hours',
       interval '45 minutes' + (n % 3) * interval '15 minutes', 8 + n % 17, n % 40 = 3,
       timestamptz '2024-12-01 00:00:00+00' + n * interval '3 hours' + n * interval '1 microsecond'
FROM generate_series(1, 6000) n JOIN wards w ON w.id = 1 + n % 60;

INSERT INTO training_bookings
SELECT s.id, 500000 + (s.id * 131 + k * 977) % 30000, k > s.capacity
FROM training_sessions s, generate_series(1, 10) k
WHERE k <= 2 + s.id % 9;

CREATE VIEW nights AS SELECT * FROM shifts WHERE kind = 'night';

CREATE ROLE headrace_reader LOGIN PASSWORD :'password' CONNECTION LIMIT 40;
GRANT USAGE ON SCHEMA public TO headrace_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO headrace_reader;

CREATE SCHEMA sample;
CREATE TABLE sample.made AS SELECT :generator AS generator;
VACUUM ANALYZE;
