PRAGMA cache_size = 4000;
CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @ROWS@)
INSERT INTO t SELECT i, (i * 2654435761) % 100003, printf('%08x-%s', i * 40503 % 65521,
    substr('abcdefghijklmnopqrstuvwxyz', i % 26 + 1, 9)), i / 7.0 FROM n;
CREATE INDEX t_a ON t (a);
CREATE INDEX t_b ON t (b, c);
SELECT count(*), sum(a), min(b), max(b) FROM t;
SELECT a % 100 AS g, count(*), round(avg(c), 3), max(length(b)) FROM t GROUP BY g ORDER BY g;
UPDATE t SET b = b || '-' || a WHERE id % 3 = 0;
DELETE FROM t WHERE a % 5 = 1;
SELECT count(*) FROM t AS x JOIN t AS y ON x.a = y.a AND x.id < y.id;
WITH w AS (SELECT id, a, sum(c) OVER (PARTITION BY a % 50 ORDER BY id) AS s FROM t)
SELECT a % 50, round(max(s), 2) FROM w GROUP BY 1 ORDER BY 1;
SELECT length(group_concat(b, ';')) FROM t;
SELECT json_extract(j, '$.n[3]') FROM (SELECT json_object('n', json_group_array(a)) AS j FROM t);
VACUUM;
PRAGMA integrity_check;
