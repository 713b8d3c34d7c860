-- What reports and logins need.

-- Passes of an affiliate that were issued until then are void.
ALTER TABLE {prefix}affiliates
    ADD COLUMN revoked_at DATETIME(3) NULL;
