-- What scenario `mix` of the test clients needs in its database. Safe to run again; the same on every SQL Server.
-- Everything is found by its owner, the first column of the key: owners never wait for each other's rows.
IF OBJECT_ID(N'dbo.mix') IS NULL
CREATE TABLE dbo.mix (
    owner int NOT NULL,
    k int NOT NULL,
    id int IDENTITY(1,1) NOT NULL,
    v int NOT NULL,
    name nvarchar(60) NULL,
    CONSTRAINT pk_mix PRIMARY KEY CLUSTERED (owner, k),
    CONSTRAINT uq_mix_id UNIQUE (id)
);
GO
-- Adds to a row: its new value as output parameter, its key as return status, no result. -1 where the row is not there.
CREATE OR ALTER PROCEDURE dbo.mix_add @total int OUTPUT, @owner int, @k int, @delta int AS
BEGIN
    SET NOCOUNT ON;
    UPDATE dbo.mix SET v = v + @delta WHERE owner = @owner AND k = @k;
    IF @@ROWCOUNT = 0
        RETURN -1;
    SELECT @total = v FROM dbo.mix WHERE owner = @owner AND k = @k;
    RETURN @k;
END
GO
-- Inserts a row: how many its owner then has as output parameter, its key as return status, and its key and identity.
CREATE OR ALTER PROCEDURE dbo.mix_put @rows int OUTPUT, @owner int, @k int, @v int, @name nvarchar(60) AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO dbo.mix (owner, k, v, name) VALUES (@owner, @k, @v, @name);
    SELECT @k AS k, SCOPE_IDENTITY() AS id;
    SELECT @rows = COUNT(*) FROM dbo.mix WHERE owner = @owner;
    RETURN @k;
END
GO
