CREATE TABLE affiliates (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
    created_at DATETIME(3) NOT NULL,
    paused_at DATETIME(3) NULL,
    version INT NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    KEY newest (created_at, id)
) ENGINE = InnoDB;

CREATE TABLE campaigns (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
    destination_url VARCHAR(2000) CHARACTER SET ascii NOT NULL,
    created_at DATETIME(3) NOT NULL,
    paused_at DATETIME(3) NULL,
    version INT NOT NULL DEFAULT 1,
    rules MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
    access MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
    PRIMARY KEY (id),
    KEY newest (created_at, id)
) ENGINE = InnoDB;

CREATE TABLE clicks (
    id BIGINT NOT NULL,
    affiliate_id INT NOT NULL,
    campaign_id INT NOT NULL,
    click_id VARCHAR(100) {bytewise} NOT NULL,
    timestamp DATETIME(3) NOT NULL,
    sub1 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub2 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub3 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub4 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub5 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    source VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ip VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    user_agent VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    bot VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    is_repeat TINYINT NOT NULL DEFAULT 0,
    is_recovered TINYINT NOT NULL DEFAULT 0,
    turns INT NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    UNIQUE KEY identity (affiliate_id, click_id, campaign_id),
    KEY newest (affiliate_id, timestamp, id),
    KEY campaign (campaign_id),
    FOREIGN KEY (affiliate_id) REFERENCES affiliates (id),
    FOREIGN KEY (campaign_id) REFERENCES campaigns (id)
) ENGINE = InnoDB;

CREATE TABLE conversions (
    id BIGINT NOT NULL,
    click_id BIGINT NOT NULL,
    affiliate_id INT NOT NULL,
    campaign_id INT NOT NULL,
    event VARCHAR(64) {bytewise} NOT NULL,
    transaction_id VARCHAR(100) {bytewise} NOT NULL,
    amount DECIMAL(18, 6) NOT NULL,
    currency VARCHAR(10) {bytewise} NOT NULL,
    timestamp DATETIME(3) NOT NULL,
    status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin
        NOT NULL DEFAULT 'approved',
    payout DECIMAL(24, 12) NULL,
    payout_currency VARCHAR(10) {bytewise} NOT NULL DEFAULT '',
    occurred_at DATETIME(3) NULL,
    sub1 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub2 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub3 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub4 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    sub5 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    PRIMARY KEY (id),
    UNIQUE KEY identity (click_id, event, transaction_id),
    KEY newest (affiliate_id, timestamp, id),
    KEY daily (campaign_id, timestamp),
    FOREIGN KEY (click_id) REFERENCES clicks (id),
    FOREIGN KEY (affiliate_id) REFERENCES affiliates (id),
    FOREIGN KEY (campaign_id) REFERENCES campaigns (id)
) ENGINE = InnoDB;

-- Numbers for records are given out in blocks. The row lock of one short update makes them unique, on any number of
-- servers.
CREATE TABLE sequences (
    name VARCHAR(32) {bytewise} NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB;

INSERT INTO sequences (name, last) VALUES ('clicks', 0), ('conversions', 0), ('writers', 0)
    ON DUPLICATE KEY UPDATE last = last;

CREATE TABLE counters (
    affiliate_id INT NOT NULL,
    quarter_hour DATETIME NOT NULL,
    campaign_id INT NOT NULL,
    currency VARCHAR(10) {bytewise} NOT NULL,
    status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'approved',
    slot TINYINT NOT NULL,
    clicks BIGINT NOT NULL,
    conversions BIGINT NOT NULL,
    amount DECIMAL(38, 6) NOT NULL,
    human_clicks BIGINT NOT NULL DEFAULT 0,
    unique_clicks BIGINT NOT NULL DEFAULT 0,
    payout DECIMAL(38, 12) NOT NULL DEFAULT 0,
    PRIMARY KEY (affiliate_id, quarter_hour, campaign_id, currency, status, slot)
) ENGINE = InnoDB;

CREATE TABLE visitors (
    visitor BINARY(16) NOT NULL,
    first_click DATETIME(3) NOT NULL,
    PRIMARY KEY (visitor),
    KEY oldest (first_click)
) ENGINE = InnoDB;

CREATE TABLE status_changes (
    conversion_id BIGINT NOT NULL,
    from_status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    to_status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_at DATETIME(3) NOT NULL,
    changed_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (conversion_id, to_status),
    FOREIGN KEY (conversion_id) REFERENCES conversions (id)
) ENGINE = InnoDB;

CREATE TABLE capped_campaigns (
    campaign_id INT NOT NULL,
    turns BIGINT NOT NULL,
    PRIMARY KEY (campaign_id)
) ENGINE = InnoDB;

CREATE TABLE postbacks (
    received_at DATETIME(3) NOT NULL,
    id BIGINT NOT NULL,
    method VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    source VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    parameters VARCHAR(2000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    affiliate_id INT NULL,
    campaign_id INT NULL,
    click_id VARCHAR(100) {bytewise} NULL,
    conversion_id BIGINT NULL,
    outcome VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    summary VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (received_at, id),
    KEY outcome (outcome, received_at, id),
    KEY affiliate (affiliate_id, outcome, received_at, id),
    KEY campaign (campaign_id, outcome, received_at, id),
    KEY pair (campaign_id, affiliate_id, outcome, received_at, id),
    KEY click (click_id, outcome, received_at, id, campaign_id, affiliate_id)
) ENGINE = InnoDB;

CREATE TABLE tracking_migrations (version INT NOT NULL, step INT NOT NULL, PRIMARY KEY (version, step)) ENGINE = InnoDB;
INSERT INTO tracking_migrations (version, step) VALUES (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6),
    (2, 1), (2, 2), (2, 3), (2, 4), (2, 5), (3, 1), (3, 2), (3, 3), (3, 4),
    (4, 1), (4, 2), (4, 3), (4, 4), (4, 5), (4, 6), (4, 7), (4, 8), (4, 9), (4, 10), (4, 11);

INSERT INTO affiliates (id, name, created_at, paused_at, version) VALUES
    (1, 'Ada', '2024-01-01 00:00:00.000', NULL, 1), (2, 'Bob', '2024-01-01 00:00:00.001', NULL, 1),
    (3, 'Cy', '2024-01-02 00:00:00', '2024-02-01 00:00:00.003', 2);
INSERT INTO campaigns (id, name, destination_url, rules, access, created_at) VALUES
    (10, 'Shop', 'https://shop.example/?ref={click_id}', '{}', '{"auth":"open"}', '2024-01-01 00:00:00.000'),
    (11, 'Club', 'https://club.example/', '{}',
        '{"auth":"key","keys":[{"id":1,"secret":{"token":"1c56b61e8ec5597e9a8b165f76a1c76c774f305099444adf1ae39752444e8a58"},"created_at":"2024-01-01T00:00:00.007Z"}]}',
        '2024-01-01 00:00:00.007');
INSERT INTO clicks (id, affiliate_id, campaign_id, click_id, timestamp) VALUES
    (1, 1, 10, 'abc', '2024-01-01 00:14:59.999'),
    (2, 1, 10, 'ABC', '2024-01-01 00:15:00.000'),
    (3, 1, 11, 'abc', '2024-01-01 00:15:00.000'),
    (4, 1, 11, 'early', '1970-01-01 00:00:00.000'),
    (5, 1, 10, 'late', '9999-12-31 23:59:59.999'),
    (6, 2, 10, 'abc', '2024-01-01 00:00:00.000');
INSERT INTO conversions
    (id, click_id, affiliate_id, campaign_id, event, transaction_id, amount, currency, timestamp) VALUES
    (1, 1, 1, 10, 'conversion', '', 10.050000, 'USD', '2024-01-01 00:44:59.999'),
    (2, 1, 1, 10, 'conversion', 'order-1', 999999999999.999999, 'USD', '2024-01-01 00:45:00.000'),
    (3, 3, 1, 11, 'sale', '', 0.000001, 'EUR', '2024-01-01 00:45:00.000'),
    (4, 5, 1, 10, 'conversion', '', 0.000001, 'USD', '9999-12-31 23:59:59.999');
UPDATE sequences SET last = 10000 WHERE name = 'clicks';
UPDATE sequences SET last = 1000 WHERE name = 'conversions';
INSERT INTO counters
    (affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount, human_clicks, unique_clicks) VALUES
    (1, '2024-01-01 00:00:00', 10, '', 0, 1, 0, 0, 1, 1),
    (1, '2024-01-01 00:15:00', 10, '', 3, 1, 0, 0, 1, 1),
    (1, '2024-01-01 00:15:00', 11, '', 3, 1, 0, 0, 1, 1),
    (1, '1970-01-01 00:00:00', 11, '', 0, 1, 0, 0, 1, 1),
    (1, '9999-12-31 23:45:00', 10, '', 17, 1, 0, 0, 1, 1),
    (2, '2024-01-01 00:00:00', 10, '', 0, 1, 0, 0, 1, 1),
    (1, '2024-01-01 00:30:00', 10, 'USD', 0, 0, 1, 10.050000, 0, 0),
    (1, '2024-01-01 00:45:00', 10, 'USD', 3, 0, 1, 999999999999.999999, 0, 0),
    (1, '2024-01-01 00:45:00', 11, 'EUR', 17, 0, 1, 0.000001, 0, 0),
    (1, '9999-12-31 23:45:00', 10, 'USD', 0, 0, 1, 0.000001, 0, 0),
    (1, '1000-01-01', 0, '', 0, 2, 0, 0, 2, 2),
    (1, '1000-01-01', 0, '', 3, 2, 0, 0, 2, 2),
    (1, '1000-01-01', 0, '', 17, 1, 0, 0, 1, 1),
    (2, '1000-01-01', 0, '', 0, 1, 0, 0, 1, 1),
    (1, '1000-01-01', 0, 'USD', 0, 0, 2, 10.050001, 0, 0),
    (1, '1000-01-01', 0, 'USD', 3, 0, 1, 999999999999.999999, 0, 0),
    (1, '1000-01-01', 0, 'EUR', 17, 0, 1, 0.000001, 0, 0);
UPDATE sequences SET last = 17 WHERE name = 'writers';
INSERT INTO visitors (visitor, first_click) VALUES (x'000102030405060708090a0b0c0d0e0f', '2024-01-01 00:15:00.000');
