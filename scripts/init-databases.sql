-- Creates tenant_db with its tables and procedures. Safe to run again: nothing that exists is changed or dropped.
-- Run by sqlcmd, tsql or bsqldb; GO ends a batch.

IF NOT EXISTS (SELECT 1 FROM sys.databases WHERE name = N'tenant_db')
    CREATE DATABASE tenant_db;
GO

USE tenant_db;
GO

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'dbo.tenants', N'U') IS NULL
    CREATE TABLE dbo.tenants (
        id          INT IDENTITY(1,1) NOT NULL CONSTRAINT PK_tenants PRIMARY KEY,
        app_id      NVARCHAR(100) NOT NULL CONSTRAINT UQ_tenants_app_id UNIQUE,
        name        NVARCHAR(255) NOT NULL,
        bucket_id   NVARCHAR(50)  NOT NULL,
        created_at  DATETIME2     NOT NULL CONSTRAINT DF_tenants_created_at DEFAULT SYSUTCDATETIME(),
        updated_at  DATETIME2     NOT NULL CONSTRAINT DF_tenants_updated_at DEFAULT SYSUTCDATETIME(),
        is_active   BIT           NOT NULL CONSTRAINT DF_tenants_is_active DEFAULT 1
    );
GO

IF OBJECT_ID(N'dbo.orders', N'U') IS NULL
    CREATE TABLE dbo.orders (
        id            INT IDENTITY(1,1) NOT NULL CONSTRAINT PK_orders PRIMARY KEY,
        tenant_id     INT           NOT NULL CONSTRAINT FK_orders_tenants REFERENCES dbo.tenants (id),
        order_number  NVARCHAR(50)  NOT NULL,
        total_amount  DECIMAL(18,2) NOT NULL CONSTRAINT DF_orders_total_amount DEFAULT 0,
        status        NVARCHAR(20)  NOT NULL CONSTRAINT DF_orders_status DEFAULT N'pending',
        created_at    DATETIME2     NOT NULL CONSTRAINT DF_orders_created_at DEFAULT SYSUTCDATETIME(),
        updated_at    DATETIME2     NOT NULL CONSTRAINT DF_orders_updated_at DEFAULT SYSUTCDATETIME()
    );
GO

IF OBJECT_ID(N'dbo.order_items', N'U') IS NULL
    CREATE TABLE dbo.order_items (
        id            INT IDENTITY(1,1) NOT NULL CONSTRAINT PK_order_items PRIMARY KEY,
        order_id      INT           NOT NULL CONSTRAINT FK_order_items_orders REFERENCES dbo.orders (id),
        product_name  NVARCHAR(255) NOT NULL,
        quantity      INT           NOT NULL CONSTRAINT DF_order_items_quantity DEFAULT 1,
        unit_price    DECIMAL(18,2) NOT NULL,
        created_at    DATETIME2     NOT NULL CONSTRAINT DF_order_items_created_at DEFAULT SYSUTCDATETIME()
    );
GO

IF OBJECT_ID(N'dbo.test_table', N'U') IS NULL
    CREATE TABLE dbo.test_table (
        id     INT IDENTITY(1,1) NOT NULL CONSTRAINT PK_test_table PRIMARY KEY,
        name   NVARCHAR(100) NULL,
        value  INT           NULL
    );
GO

IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_tenants_bucket_id' AND object_id = OBJECT_ID(N'dbo.tenants'))
    CREATE INDEX IX_tenants_bucket_id ON dbo.tenants (bucket_id);
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_tenants_app_id' AND object_id = OBJECT_ID(N'dbo.tenants'))
    CREATE INDEX IX_tenants_app_id ON dbo.tenants (app_id);
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_orders_tenant_id' AND object_id = OBJECT_ID(N'dbo.orders'))
    CREATE INDEX IX_orders_tenant_id ON dbo.orders (tenant_id);
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_orders_order_number' AND object_id = OBJECT_ID(N'dbo.orders'))
    CREATE INDEX IX_orders_order_number ON dbo.orders (order_number);
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'IX_order_items_order_id' AND object_id = OBJECT_ID(N'dbo.order_items'))
    CREATE INDEX IX_order_items_order_id ON dbo.order_items (order_id);
GO

CREATE OR ALTER PROCEDURE dbo.sp_get_tenant
    @app_id NVARCHAR(100)
AS
BEGIN
    SET NOCOUNT ON;

    SELECT id, app_id, name, bucket_id, created_at, updated_at, is_active
    FROM dbo.tenants
    WHERE app_id = @app_id;
END
GO

CREATE OR ALTER PROCEDURE dbo.sp_create_order
    @tenant_id     INT,
    @order_number  NVARCHAR(50),
    @total_amount  DECIMAL(18,2)
AS
BEGIN
    SET NOCOUNT ON;

    BEGIN TRY
        BEGIN TRANSACTION;

        IF NOT EXISTS (SELECT 1 FROM dbo.tenants WHERE id = @tenant_id)
            RAISERROR(N'Tenant %d does not exist.', 16, 1, @tenant_id);

        INSERT INTO dbo.orders (tenant_id, order_number, total_amount)
        VALUES (@tenant_id, @order_number, @total_amount);

        DECLARE @order_id INT = CAST(SCOPE_IDENTITY() AS INT);

        COMMIT TRANSACTION;

        SELECT @order_id AS order_id;
    END TRY
    BEGIN CATCH
        IF @@TRANCOUNT > 0
            ROLLBACK TRANSACTION;

        THROW;
    END CATCH
END
GO

CREATE OR ALTER PROCEDURE dbo.sp_connection_info
AS
BEGIN
    SET NOCOUNT ON;

    SELECT @@SPID         AS session_id,
           SUSER_SNAME()  AS login_name,
           DB_NAME()      AS database_name,
           HOST_NAME()    AS host_name,
           APP_NAME()     AS program_name,
           GETUTCDATE()   AS utc_time,
           @@VERSION      AS server_version;
END
GO

PRINT N'tenant_db is ready.';
GO
