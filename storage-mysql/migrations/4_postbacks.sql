-- Rules and keys of campaigns, statuses and payouts of conversions, and the log of postbacks.

ALTER TABLE {prefix}affiliates
    ADD COLUMN paused_at DATETIME(3) NULL,
    ADD COLUMN version INT NOT NULL DEFAULT 1;

-- JSON. Neither server has a default for such a text that the other understands, too, so those that are there are filled
-- in below; every campaign that is new has both.
ALTER TABLE {prefix}campaigns
    ADD COLUMN paused_at DATETIME(3) NULL,
    ADD COLUMN version INT NOT NULL DEFAULT 1,
    ADD COLUMN rules MEDIUMTEXT CHARACTER SET utf8mb4 NULL,
    ADD COLUMN access MEDIUMTEXT CHARACTER SET utf8mb4 NULL;

-- The key that a campaign has is its first one. A few at a time: repeated until there are none.
UPDATE {prefix}campaigns SET rules = '{}', access = IF(
    postback_key_hash IS NULL,
    '{"auth":"open"}',
    CONCAT(
        '{"auth":"key","keys":[{"id":1,"secret":{"token":"', LOWER(HEX(postback_key_hash)), '"},"created_at":"',
        DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.'), LPAD(MICROSECOND(created_at) DIV 1000, 3, '0'), 'Z"}]}'
    )
)
WHERE access IS NULL
LIMIT 1000;

ALTER TABLE {prefix}campaigns
    MODIFY COLUMN rules MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
    MODIFY COLUMN access MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
    DROP COLUMN postback_key_hash;

-- Whoever inserts a conversion that others might get round changes its click here first. To lock it would be enough on a
-- single server; but nodes of a cluster know of no lock of each other's, and find out about a row that two have changed.
ALTER TABLE {prefix}clicks
    ADD COLUMN turns INT NOT NULL DEFAULT 0;

-- Each with a default, so no row is rewritten. Texts are empty where nothing is known.
ALTER TABLE {prefix}conversions
    ADD COLUMN status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin
        NOT NULL DEFAULT 'approved',
    ADD COLUMN payout DECIMAL(24, 12) NULL,
    ADD COLUMN payout_currency VARCHAR(10) {bytewise} NOT NULL DEFAULT '',
    ADD COLUMN occurred_at DATETIME(3) NULL,
    ADD COLUMN sub1 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub2 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub3 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub4 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub5 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '';

-- By campaign and day, for daily caps; the foreign key is content with it. This reads all conversions once, and writes none.
ALTER TABLE {prefix}conversions
    DROP KEY campaign,
    ADD KEY daily (campaign_id, timestamp);

-- Conversions are counted by status, those that are there as approved, as which clicks are, too, which have none. A payout
-- is counted beside the amount if it has the same currency, and otherwise in a row of its own currency, which has no
-- conversions. The key is made anew, which copies the table: there are a few counters for each affiliate and hour.
ALTER TABLE {prefix}counters
    ADD COLUMN status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin
        NOT NULL DEFAULT 'approved' AFTER currency,
    ADD COLUMN payout DECIMAL(38, 12) NOT NULL DEFAULT 0,
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (affiliate_id, quarter_hour, campaign_id, currency, status, slot);

-- How conversions came by the statuses that they have. Each has a status once.
CREATE TABLE {prefix}status_changes (
    conversion_id BIGINT NOT NULL,
    from_status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    to_status ENUM('pending', 'approved', 'rejected') CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_at DATETIME(3) NOT NULL,
    changed_by VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (conversion_id, to_status),
    FOREIGN KEY (conversion_id) REFERENCES {prefix}conversions (id)
) ENGINE = InnoDB;

-- Whoever inserts a conversion that a daily cap may forbid changes the campaign's row here first, in the same way.
CREATE TABLE {prefix}capped_campaigns (
    campaign_id INT NOT NULL,
    turns BIGINT NOT NULL,
    PRIMARY KEY (campaign_id)
) ENGINE = InnoDB;

-- The postback log. Without foreign keys, because it is of what was sent, whether or not there is anything of that name.
-- The outcome stands before the time in each key, because what is looked for is mostly rare: it is read outcome by outcome.
-- A click may be named by many, if somebody sends a macro that nothing was put in place of: so its key has what else is asked.
CREATE TABLE {prefix}postbacks (
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
