-- One year of payslips, in the order of their ids: one load, one data file.
INSERT INTO lake.hr.payslips
    SELECT 1000000 + month * 10000 + place, tenant_id, month * 2 + (tenant_id = 'harbour-health')::INTEGER + 1, id,
           period, cents(gross), cents(tax), cents(gross - tax),
           CASE WHEN b % 9 > 0 THEN ((b >> 5) % 2000)::BIGINT / 10.0 END,
           'NL' || printf('%02d', (b % 98)::INTEGER) || 'TEST0' || (100000000 + (b >> 9) % 900000000),
           CASE WHEN month < 59 THEN (period + INTERVAL 24 DAY) AT TIME ZONE 'UTC' + to_milliseconds(((b >> 7) % 86400000)::BIGINT) END,
           CASE WHEN month = 0 THEN awkward_or(a.texts, k, b >> 3, NULL) WHEN b % 50 = 0 THEN 'Corrected: was "' || gross || '", now ok' WHEN b % 50 = 1 THEN '' END,
           CASE WHEN b % 4 > 0 THEN '[{"code":"BASE","amount":' || cents(gross) || '},{"code":"TAX","amount":-' || cents(tax) || '}]' END::JSON
    FROM awkward a, (
        SELECT *, 180000 + (b >> 11) % 700000 AS gross, (180000 + (b >> 11) % 700000) * (20 + b % 25) // 100 AS tax,
               (DATE '2021-01-01' + to_months(month::INTEGER))::DATE AS period
        FROM (SELECT *, bits('payslip', month * 10000 + n) AS b,
                     row_number() OVER (PARTITION BY month ORDER BY tenant_id DESC, n) AS place
              FROM people, range($first_month, $first_month + 12) m(month))) s
    ORDER BY 1;
