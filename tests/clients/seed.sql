-- What the scenarios of the test clients need in tenant_db. Safe to run again.
IF OBJECT_ID(N'dbo.tenants') IS NULL
CREATE TABLE dbo.tenants (
    id int IDENTITY(1,1) PRIMARY KEY,
    app_id nvarchar(100) NOT NULL UNIQUE,
    name nvarchar(255) NOT NULL,
    bucket_id nvarchar(50) NOT NULL
);
GO
IF OBJECT_ID(N'dbo.test_table') IS NULL
CREATE TABLE dbo.test_table (
    id int IDENTITY(1,1) PRIMARY KEY,
    name nvarchar(100),
    value int
);
GO
IF NOT EXISTS (SELECT 1 FROM dbo.tenants WHERE app_id = N'APP-000001')
INSERT INTO dbo.tenants (app_id, name, bucket_id) VALUES (N'APP-000001', N'Padaria São João', N'bucket-001');
GO
IF OBJECT_ID(N'dbo.sp_get_tenant') IS NOT NULL DROP PROCEDURE dbo.sp_get_tenant;
GO
CREATE PROCEDURE dbo.sp_get_tenant @app_id nvarchar(100) AS
BEGIN
    SET NOCOUNT ON;
    SELECT id, app_id, name, bucket_id FROM dbo.tenants WHERE app_id = @app_id;
END
GO
IF OBJECT_ID(N'dbo.numbers') IS NULL
CREATE TABLE dbo.numbers (i int NOT NULL PRIMARY KEY, name nvarchar(60) NOT NULL);
GO
DELETE FROM dbo.numbers;
GO
DECLARE @i int = 1;
WHILE @i <= 1000
BEGIN
    INSERT INTO dbo.numbers (i, name) VALUES (@i, N'linha número ' + CAST(@i AS nvarchar(10)));
    SET @i = @i + 1;
END
GO
