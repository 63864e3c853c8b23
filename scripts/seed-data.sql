-- Fills tenant_db: 100 tenants, 50 orders, 50 order items, 10 rows in test_table. Safe to run again: what is there stays,
-- only what is missing is added. Run init-databases.sql first.

USE tenant_db;
GO

SET NOCOUNT ON;
SET XACT_ABORT ON;

BEGIN TRANSACTION;

WITH numbers AS (
    SELECT 1 AS n
    UNION ALL
    SELECT n + 1 FROM numbers WHERE n < 100
)
INSERT INTO dbo.tenants (app_id, name, bucket_id)
SELECT N'APP-' + RIGHT(N'000000' + CAST(n AS NVARCHAR(10)), 6),
       N'Tenant ' + CAST(n AS NVARCHAR(10)),
       N'bucket-' + RIGHT(N'000' + CAST((n - 1) % 3 + 1 AS NVARCHAR(10)), 3)
FROM numbers
WHERE NOT EXISTS (SELECT 1 FROM dbo.tenants AS t
                  WHERE t.app_id = N'APP-' + RIGHT(N'000000' + CAST(n AS NVARCHAR(10)), 6))
ORDER BY n
OPTION (MAXRECURSION 100);

WITH numbers AS (
    SELECT 1 AS n
    UNION ALL
    SELECT n + 1 FROM numbers WHERE n < 50
)
INSERT INTO dbo.orders (tenant_id, order_number, total_amount, status)
SELECT t.id,
       N'ORD-' + RIGHT(N'000000' + CAST(n.n AS NVARCHAR(10)), 6),
       CAST(n.n * 10.50 AS DECIMAL(18,2)),
       CASE n.n % 4 WHEN 0 THEN N'completed' WHEN 1 THEN N'pending' WHEN 2 THEN N'processing' ELSE N'shipped' END
FROM numbers AS n
JOIN dbo.tenants AS t ON t.app_id = N'APP-' + RIGHT(N'000000' + CAST(n.n AS NVARCHAR(10)), 6)
WHERE NOT EXISTS (SELECT 1 FROM dbo.orders AS o
                  WHERE o.order_number = N'ORD-' + RIGHT(N'000000' + CAST(n.n AS NVARCHAR(10)), 6))
ORDER BY n.n
OPTION (MAXRECURSION 100);

INSERT INTO dbo.order_items (order_id, product_name, quantity, unit_price)
SELECT o.id,
       N'Product ' + RIGHT(o.order_number, 3),
       o.id % 5 + 1,
       CAST(o.total_amount / (o.id % 5 + 1) AS DECIMAL(18,2))
FROM dbo.orders AS o
WHERE o.order_number BETWEEN N'ORD-000001' AND N'ORD-000050'
  AND NOT EXISTS (SELECT 1 FROM dbo.order_items AS i WHERE i.order_id = o.id)
ORDER BY o.id;

DECLARE @i INT = 1;
WHILE @i <= 10
BEGIN
    IF NOT EXISTS (SELECT 1 FROM dbo.test_table WHERE name = CONCAT(N'test-', @i))
        INSERT INTO dbo.test_table (name, value) VALUES (CONCAT(N'test-', @i), @i * 10);
    SET @i += 1;
END;

COMMIT TRANSACTION;
GO

SELECT (SELECT COUNT(*) FROM dbo.tenants)     AS tenants,
       (SELECT COUNT(*) FROM dbo.orders)      AS orders,
       (SELECT COUNT(*) FROM dbo.order_items) AS order_items,
       (SELECT COUNT(*) FROM dbo.test_table)  AS test_rows;
GO
