-- The persons whom the sample's organisations look after: what the template "persons" hands out.
-- Macros, tenants and lists of names are those of hr.sql, which ran before.

CREATE SCHEMA lake.members;

CREATE TABLE lake.members.persons (
    id BIGINT NOT NULL, tenant_id VARCHAR NOT NULL, customer_number VARCHAR NOT NULL,
    first_name VARCHAR, last_name VARCHAR, birth_date DATE, email VARCHAR, phone VARCHAR,
    street VARCHAR, postal_code VARCHAR, city VARCHAR, country VARCHAR NOT NULL, membership VARCHAR,
    member_since DATE NOT NULL, member_until DATE, newsletter BOOLEAN NOT NULL,
    anonymised BOOLEAN NOT NULL, changed_at TIMESTAMPTZ NOT NULL
);
-- One of 53 has asked to be forgotten: a number, and what the books need, is all that is left.
INSERT INTO lake.members.persons
    SELECT 500000 + n, t.id, printf('M%06d', n + 1),
           CASE WHEN NOT gone THEN pick(first_names, b) END,
           CASE WHEN gone THEN 'Anonymised' ELSE pick(last_names, b >> 8) END,
           CASE WHEN NOT gone THEN DATE '1940-01-01' + ((b >> 16) % 25000)::INTEGER END,
           CASE WHEN NOT gone AND b % 9 > 0 THEN printf('person%d@members.example', n) END,
           CASE WHEN NOT gone AND b % 4 > 0 THEN printf('+46 70 %07d', (b >> 24) % 10000000) END,
           CASE WHEN NOT gone THEN pick(['Storgatan', 'Kungsgatan', 'Quay Street', 'Östra Hamngatan'], b >> 3)
               || ' ' || (1 + (b >> 5) % 200) END,
           printf('%05d', 10000 + (b >> 7) % 80000),
           pick(['Göteborg', 'Malmö', 'Umeå', 'Galway', 'Ålesund'], b >> 9),
           pick(['SE', 'SE', 'SE', 'IE', 'NO'], b >> 9),
           pick(['Gold', 'Silver', 'Day pass', NULL], b >> 11),
           DATE '2015-01-01' + ((b >> 13) % 3500)::INTEGER,
           CASE WHEN b % 5 = 0 THEN DATE '2025-01-01' + ((b >> 15) % 700)::INTEGER END,
           b % 3 = 0, gone,
           TIMESTAMPTZ '2024-01-01 06:00:00+00' + INTERVAL 40 MINUTE * n + INTERVAL 1 MICROSECOND * (b % 1000000)
    FROM names, (SELECT n, bits('person', n) AS b, n % 53 = 17 AS gone FROM range(30000) r(n)) r
    JOIN tenants t ON t.number = (n % 5 = 4)::INTEGER
    ORDER BY n;
