-- Affiliates, campaigns, clicks and conversions.

CREATE TABLE {prefix}affiliates (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
    created_at DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    KEY newest (created_at, id)
) ENGINE = InnoDB;

CREATE TABLE {prefix}campaigns (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(100) CHARACTER SET utf8mb4 NOT NULL,
    destination_url VARCHAR(2000) CHARACTER SET ascii NOT NULL,
    postback_key_hash BINARY(32) NULL,
    created_at DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    KEY newest (created_at, id)
) ENGINE = InnoDB;

CREATE TABLE {prefix}clicks (
    id BIGINT NOT NULL,
    affiliate_id INT NOT NULL,
    campaign_id INT NOT NULL,
    click_id VARCHAR(100) {bytewise} NOT NULL,
    timestamp DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY identity (affiliate_id, click_id, campaign_id),
    KEY newest (affiliate_id, timestamp, id),
    KEY campaign (campaign_id),
    FOREIGN KEY (affiliate_id) REFERENCES {prefix}affiliates (id),
    FOREIGN KEY (campaign_id) REFERENCES {prefix}campaigns (id)
) ENGINE = InnoDB;

CREATE TABLE {prefix}conversions (
    id BIGINT NOT NULL,
    click_id BIGINT NOT NULL,
    affiliate_id INT NOT NULL,
    campaign_id INT NOT NULL,
    event VARCHAR(64) {bytewise} NOT NULL,
    transaction_id VARCHAR(100) {bytewise} NOT NULL,
    amount DECIMAL(18, 6) NOT NULL,
    currency VARCHAR(10) {bytewise} NOT NULL,
    timestamp DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY identity (click_id, event, transaction_id),
    KEY newest (affiliate_id, timestamp, id),
    KEY campaign (campaign_id),
    FOREIGN KEY (click_id) REFERENCES {prefix}clicks (id),
    FOREIGN KEY (affiliate_id) REFERENCES {prefix}affiliates (id),
    FOREIGN KEY (campaign_id) REFERENCES {prefix}campaigns (id)
) ENGINE = InnoDB;

-- Numbers for records are given out in blocks. The row lock of one short update makes them unique, on any number of
-- servers.
CREATE TABLE {prefix}sequences (
    name VARCHAR(32) {bytewise} NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB;

INSERT INTO {prefix}sequences (name, last) VALUES ('clicks', 0), ('conversions', 0), ('writers', 0)
    ON DUPLICATE KEY UPDATE last = last;
