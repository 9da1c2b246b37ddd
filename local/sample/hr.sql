-- The tables of the sample warehouse. Every value follows from its row's number: bits() is the
-- only chance, and it is MD5, so another release of the engine makes the same rows.
--
-- Ready before: texts, integers, doubles, decimals, dates, timestamps, times, documents, binaries,
-- one list each in table awkward; first_names, last_names in table names.

CREATE TEMP MACRO bits(purpose, n) AS md5_number_lower(purpose || n::VARCHAR);
CREATE TEMP MACRO pick(list, n) AS list[1 + (n % len(list))::BIGINT];
-- The first rows of a tenant (k counts from 0) walk through the list, so that none is left out;
-- later rows take one now and then.
CREATE TEMP MACRO awkward_or(list, k, b, usual) AS
    CASE WHEN k < len(list) THEN pick(list, k) WHEN b % 97 = 0 THEN pick(list, b >> 8) ELSE usual END;
CREATE TEMP MACRO cents(amount) AS (amount::BIGINT * 0.01::DECIMAL(3, 2));

CREATE TEMP TABLE tenants AS
    FROM (VALUES (0, 'northwind-care'), (1, 'harbour-health')) t(number, id);

-- Four of five people work for the first tenant; ids are drawn from one sequence for both.
CREATE TEMP TABLE people AS
    SELECT n, 100000 + n AS id, t.id AS tenant_id,
           row_number() OVER (PARTITION BY t.id ORDER BY n) - 1 AS k
    FROM range(10000) r(n) JOIN tenants t ON t.number = (n % 5 = 4)::INTEGER;

CREATE SCHEMA lake.hr;

CREATE TABLE lake.hr.cost_centres (
    id INTEGER NOT NULL, tenant_id VARCHAR NOT NULL, code VARCHAR NOT NULL, name VARCHAR,
    currency VARCHAR NOT NULL, budget DECIMAL(18, 2), share DECIMAL(38, 10), blocked BOOLEAN NOT NULL
);
INSERT INTO lake.hr.cost_centres
    SELECT n + 1, t.id, printf('%05d', 10 * (n // 2)), awkward_or(a.texts, n // 2, b, 'Cost centre ' || n),
           pick(['EUR', 'GBP', 'JPY', 'TND'], b), cents((b >> 4) % 900000000),
           awkward_or(a.decimals, n // 2, b >> 3, cents((b >> 9) % 100)), b % 11 = 0
    FROM awkward a, (SELECT n, bits('cost_centre', n) AS b FROM range(240) r(n)) r
    JOIN tenants t ON t.number = n % 2
    ORDER BY n;

CREATE TABLE lake.hr.departments (
    id INTEGER NOT NULL, tenant_id VARCHAR NOT NULL, parent_id INTEGER, cost_centre_id INTEGER NOT NULL,
    name VARCHAR NOT NULL, opened_on DATE NOT NULL, closed_on DATE
);
INSERT INTO lake.hr.departments
    SELECT n + 1, t.id, CASE WHEN n >= 8 THEN 1 + 2 * ((n - 8) // 8) + n % 2 END,
           1 + n % 2 + 2 * (b % 120)::INTEGER,
           pick(['Care', 'Pharmacy', 'Radiology', 'Finance', 'IT', 'Kitchen', 'Réception', 'Forschung & Lehre'], n // 2)
               || ' ' || (n // 16 + 1),
           DATE '1962-04-01' + ((b >> 8) % 20000)::INTEGER,
           CASE WHEN b % 7 = 0 THEN DATE '2021-01-01' + ((b >> 20) % 1500)::INTEGER END
    FROM (SELECT n, bits('department', n) AS b FROM range(160) r(n)) r
    JOIN tenants t ON t.number = n % 2
    ORDER BY n;

CREATE TABLE lake.hr.positions (
    id INTEGER NOT NULL, tenant_id VARCHAR NOT NULL, title VARCHAR NOT NULL, grade SMALLINT,
    scale_minimum DECIMAL(12, 2) NOT NULL, scale_maximum DECIMAL(12, 2) NOT NULL, requirements JSON
);
INSERT INTO lake.hr.positions
    SELECT n + 1, t.id,
           pick(['Nurse', 'Surgeon', 'Porter', 'Analyst', 'Clerk', 'Médecin', 'Krankenpfleger', '看護師'], n // 2)
               || pick(['', ' II', ', senior', ' (night)'], b),
           CASE WHEN b % 9 > 0 THEN (b % 15)::SMALLINT END,
           cents(180000 + (b >> 8) % 200000), cents(400000 + (b >> 16) % 900000),
           awkward_or(a.documents, n // 2, b, json_object('years', (b % 12)::INTEGER,
               'diplomas', [pick(['BSc', 'MSc', 'MD'], b >> 3), NULL], 'driving', b % 2 = 0))::JSON
    FROM awkward a, (SELECT n, bits('position', n) AS b FROM range(600) r(n)) r
    JOIN tenants t ON t.number = n % 2
    ORDER BY n;

CREATE TABLE lake.hr.employees (
    id BIGINT NOT NULL, tenant_id VARCHAR NOT NULL, external_id UUID NOT NULL,
    employee_number VARCHAR NOT NULL, first_name VARCHAR NOT NULL, last_name VARCHAR NOT NULL,
    preferred_name VARCHAR, national_id VARCHAR, birth_date DATE, email VARCHAR, phone VARCHAR,
    legacy_number BIGINT, active BOOLEAN, address JSON, notes VARCHAR, photo_thumbnail BLOB,
    hired_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMP
);
INSERT INTO lake.hr.employees
    SELECT p.id, tenant_id, md5('employee' || n)::UUID, printf('%06d', (b % 1000000)::INTEGER),
           pick(x.first_names, b), pick(x.last_names, b >> 9),
           CASE b % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE pick(x.first_names, b >> 17) END,
           'X' || (100000000 + (b >> 5) % 900000000),
           awkward_or(a.dates, k, b >> 2, (DATE '1948-01-01' + ((b >> 11) % 20000)::INTEGER)::VARCHAR)::DATE,
           lower('e' || n || '@' || tenant_id || '.example'),
           CASE WHEN b % 4 > 0 THEN '+31 6 ' || (10000000 + (b >> 6) % 90000000) END,
           awkward_or(a.integers, k, b >> 1, (b >> 2)::BIGINT),
           CASE WHEN b % 10 > 0 THEN b % 5 > 0 END,
           CASE WHEN b % 13 > 0 THEN awkward_or(a.documents, k, b >> 3, json_object(
               'street', pick(['Kade', 'Rue de l''Église', 'Straße', 'Main St "East"'], b >> 4) || ' ' || b % 300,
               'postcode', printf('%04d', (b % 10000)::INTEGER), 'country', pick(['NL', 'FR', 'DE', 'IE', NULL], b),
               'geo', json_object('lat', ((b >> 12) % 180000)::BIGINT / 1000.0 - 90, 'moved', b % 2 = 0),
               'previous', [json_object('since', 1990 + (b % 30)::INTEGER)])) END::JSON,
           awkward_or(a.texts, k, b >> 4, CASE b % 5 WHEN 0 THEN 'Prefers "late" shifts, not early.' WHEN 1 THEN '' END),
           awkward_or(a.binaries, k, b >> 5, CASE WHEN b % 3 = 0 THEN unhex(md5('photo' || n)) END),
           awkward_or(a.timestamps, k, b >> 6, (TIMESTAMP '1994-01-01' + to_seconds(((b >> 3) % 1000000000)::BIGINT))::VARCHAR)::TIMESTAMP AT TIME ZONE 'UTC',
           awkward_or(a.timestamps, k, b >> 7, CASE WHEN b % 6 > 0 THEN (TIMESTAMP '2019-01-01' + to_microseconds(((b >> 3) % 220000000000000)::BIGINT))::VARCHAR END)::TIMESTAMP
    FROM awkward a, names x, (SELECT *, bits('employee', n) AS b FROM people) p
    ORDER BY p.id;

CREATE TABLE lake.hr.employments (
    id BIGINT NOT NULL, tenant_id VARCHAR NOT NULL, employee_id BIGINT NOT NULL,
    department_id INTEGER NOT NULL, position_id INTEGER NOT NULL, starts_on DATE NOT NULL, ends_on DATE,
    full_time_share DECIMAL(5, 4) NOT NULL, weekly_hours DOUBLE, permanent BOOLEAN NOT NULL,
    end_reason VARCHAR, updated_at TIMESTAMPTZ NOT NULL
);
INSERT INTO lake.hr.employments
    SELECT id * 10 + term, tenant_id, id, 1 + (n % 5 = 4)::INTEGER + 2 * (b % 80)::INTEGER,
           1 + (n % 5 = 4)::INTEGER + 2 * ((b >> 7) % 300)::INTEGER,
           DATE '1994-01-01' + (3000 * term + (b >> 13) % 2500)::INTEGER,
           CASE WHEN term + 1 < terms THEN DATE '1994-01-01' + (3000 * (term + 1) - 1 - b % 90)::INTEGER
                WHEN b % 17 = 0 THEN DATE '9999-12-31' END,
           (0.0001::DECIMAL(5, 4) * (1 + (b >> 20) % 10000)::INTEGER)::DECIMAL(5, 4),
           awkward_or(a.doubles, k + term, b >> 3, ((b >> 5) % 400)::BIGINT / 10.0), b % 3 > 0,
           CASE WHEN term + 1 < terms THEN pick(['moved', 'study', 'other: "personal"', ''], b) END,
           TIMESTAMPTZ '2020-01-01 00:00:00+00' + to_milliseconds(((b >> 2) % 180000000000)::BIGINT)
    FROM awkward a, (
        SELECT *, bits('employment', n * 10 + term) AS b
        FROM (SELECT *, 1 + ((bits('terms', n) % 5) < 2)::INTEGER AS terms FROM people) p, range(2) r(term)
        WHERE term < terms) e
    ORDER BY 1;

CREATE TABLE lake.hr.contracts (
    id UUID NOT NULL, tenant_id VARCHAR NOT NULL, employment_id BIGINT NOT NULL, kind VARCHAR NOT NULL,
    signed_at TIMESTAMPTZ, signed_local TIMESTAMP, hourly_rate DECIMAL(38, 10) NOT NULL,
    bonus_share DOUBLE, clauses JSON, signature BLOB, remark VARCHAR
);
INSERT INTO lake.hr.contracts
    SELECT md5('contract' || e.id)::UUID AS id, tenant_id, e.id, pick(['fixed term', 'permanent', 'on call', 'agency'], b),
           awkward_or(a.timestamps, k, b >> 2, CASE WHEN b % 8 > 0 THEN (TIMESTAMP '1994-01-01' + to_seconds(((b >> 3) % 1000000000)::BIGINT))::VARCHAR END)::TIMESTAMP AT TIME ZONE 'UTC',
           awkward_or(a.timestamps, k, b >> 3, CASE WHEN b % 8 > 0 THEN (TIMESTAMP '1994-01-01' + to_seconds(((b >> 3) % 1000000000)::BIGINT))::VARCHAR END)::TIMESTAMP,
           awkward_or(a.decimals, k, b >> 4, (cents(1200 + b % 9000) + 0.0000000001::DECIMAL(38, 10) * ((b >> 30) % 100000000)::INTEGER)::DECIMAL(38, 10)),
           awkward_or(a.doubles, k, b >> 5, CASE WHEN b % 2 = 0 THEN ((b >> 7) % 10000)::BIGINT / 30000.0 END),
           awkward_or(a.documents, k, b >> 6, CASE WHEN b % 7 > 0 THEN json_object('notice', json_object('weeks', (b % 13)::INTEGER),
               'clauses', [json_object('no', 1, 'text', 'Confidentiality, "strict"'), json_object('no', 2, 'text', NULL)]) END)::JSON,
           awkward_or(a.binaries, k, b >> 7, unhex(md5('signature' || e.id))),
           awkward_or(a.texts, k, b >> 8, NULL)
    FROM awkward a, (
        SELECT id, tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) - 1 AS k,
               bits('contract', id) AS b
        FROM lake.hr.employments) e
    ORDER BY 1;

CREATE TABLE lake.hr.shifts (
    id BIGINT NOT NULL, tenant_id VARCHAR NOT NULL, employee_id BIGINT NOT NULL, weekday TINYINT NOT NULL,
    starts_at TIME NOT NULL, ends_at TIME, break_minutes SMALLINT, on_call BOOLEAN NOT NULL
);
INSERT INTO lake.hr.shifts
    SELECT n * 5 + day + 1, tenant_id, id, (day + 1)::TINYINT,
           awkward_or(a.times, k, b, (TIME '06:00' + to_minutes((15 * ((b >> 3) % 60))::BIGINT))::VARCHAR)::TIME,
           CASE WHEN b % 4 > 0 THEN TIME '00:00' + to_minutes(((b >> 9) % 1440)::BIGINT) END,
           CASE WHEN b % 5 > 0 THEN (15 * (b % 5))::SMALLINT END, b % 12 = 0
    FROM awkward a, (SELECT *, bits('shift', n * 5 + day) AS b FROM people, range(5) d(day)) s
    ORDER BY 1;

CREATE TABLE lake.hr.absences (
    id BIGINT NOT NULL, tenant_id VARCHAR NOT NULL, employee_id BIGINT NOT NULL, kind VARCHAR NOT NULL,
    starts_at TIMESTAMPTZ NOT NULL, ends_at TIMESTAMPTZ, hours DECIMAL(8, 2), approved BOOLEAN,
    remark VARCHAR, details JSON
);
INSERT INTO lake.hr.absences
    SELECT turn * 10000 + n + 1, tenant_id, id, pick(['illness', 'holiday', 'parental', 'training', 'unpaid'], b),
           starts_at, CASE WHEN b % 15 > 0 THEN starts_at + to_minutes(((b >> 8) % 20000)::BIGINT) END,
           CASE WHEN b % 6 > 0 THEN cents((b >> 10) % 40000) END, CASE WHEN b % 4 > 0 THEN b % 7 > 0 END,
           CASE WHEN turn = 0 THEN awkward_or(a.texts, k, b >> 3, NULL) WHEN b % 5 = 0 THEN '' WHEN b % 5 = 1 THEN 'Reported by phone, ' || b % 24 || ' h' END,
           CASE WHEN b % 3 = 0 THEN json_object('doctor', b % 2 = 0, 'days', [(b % 9)::INTEGER, (b % 31)::INTEGER]) END::JSON
    FROM awkward a, (
        SELECT *, TIMESTAMPTZ '2020-01-06 07:00:00+00' + to_hours(turn * 4400 + ((b >> 4) % 4400)::BIGINT) AS starts_at
        FROM (SELECT *, bits('absence', n * 100 + turn) AS b FROM people, range(12) t(turn))) s
    ORDER BY 1;

-- Only the second tenant has claims: for the first this is an empty table.
CREATE TABLE lake.hr.expense_claims (
    id INTEGER NOT NULL, tenant_id VARCHAR NOT NULL, employee_id BIGINT NOT NULL, claimed_on DATE NOT NULL,
    amount DECIMAL(12, 2) NOT NULL, description VARCHAR
);
INSERT INTO lake.hr.expense_claims
    SELECT k + 1, tenant_id, id, DATE '2025-01-01' + (b % 365)::INTEGER, cents(b % 90000), pick(a.texts, k)
    FROM awkward a, (SELECT *, bits('claim', n) AS b FROM people WHERE tenant_id = 'harbour-health' AND k < 500) p
    ORDER BY 1;

CREATE TABLE lake.hr.payroll_runs (
    id INTEGER NOT NULL, tenant_id VARCHAR NOT NULL, period DATE NOT NULL, closed_at TIMESTAMPTZ,
    exchange_rate DECIMAL(38, 10) NOT NULL, corrections BIGINT NOT NULL, remark VARCHAR
);
INSERT INTO lake.hr.payroll_runs
    SELECT month * 2 + t.number + 1, t.id, period, CASE WHEN month < 59 THEN (period + INTERVAL 27 DAY) AT TIME ZONE 'UTC' + to_seconds((b % 86400)::BIGINT) END,
           (1 + 0.0000000001::DECIMAL(38, 10) * ((b >> 9) % 1000000000)::INTEGER)::DECIMAL(38, 10),
           awkward_or(a.integers, month, 1, (b % 40)::BIGINT), awkward_or(a.texts, month, 1, NULL)
    FROM awkward a, (
        SELECT month, t.id, t.number, bits('run', month * 2 + t.number) AS b, (DATE '2021-01-01' + to_months(month::INTEGER))::DATE AS period
        FROM range(60) m(month), tenants t) t
    ORDER BY 1;

CREATE TABLE lake.hr.payslips (
    id BIGINT NOT NULL, tenant_id VARCHAR NOT NULL, payroll_run_id INTEGER NOT NULL, employee_id BIGINT NOT NULL,
    period DATE NOT NULL, gross DECIMAL(12, 2) NOT NULL, tax DECIMAL(12, 2) NOT NULL, net DECIMAL(12, 2) NOT NULL,
    hours DOUBLE, account VARCHAR, paid_at TIMESTAMPTZ, remark VARCHAR, lines JSON
);
